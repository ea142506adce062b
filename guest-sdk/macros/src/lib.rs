//! The macro behind `cloister_sdk::service!`.

use std::path::{Path, PathBuf};

use proc_macro2::{Literal, TokenStream};
use quote::quote;
use syn::{LitStr, parse_macro_input};
use wit_component::WitPrinter;
use wit_parser::{PackageId, Resolve, SourceMap, WorldId};

/// The host's own WIT, so that authors need no copy of it.
const HOST_WIT: [(&str, &str); 8] = [
    ("auth.wit", include_str!("../wit/auth.wit")),
    ("client.wit", include_str!("../wit/client.wit")),
    ("content.wit", include_str!("../wit/content.wit")),
    ("prompts.wit", include_str!("../wit/prompts.wit")),
    ("resources.wit", include_str!("../wit/resources.wit")),
    ("session.wit", include_str!("../wit/session.wit")),
    ("tools.wit", include_str!("../wit/tools.wit")),
    ("world.wit", include_str!("../wit/world.wit")),
];

/// What makes questions to the client easy to write.
const QUESTIONS: &str = include_str!("questions.rs");

/// Makes the bindings of a WIT folder and embeds its text. See `cloister_sdk::service!`.
#[proc_macro]
pub fn service(input: proc_macro::TokenStream) -> proc_macro::TokenStream {
    let folder = parse_macro_input!(input as Option<LitStr>);
    let (folder, span) = match folder {
        Some(folder) => (folder.value(), folder.span()),
        None => ("wit".to_owned(), proc_macro2::Span::call_site()),
    };
    expand(&folder)
        .unwrap_or_else(|problem| syn::Error::new(span, problem).into_compile_error())
        .into()
}

fn expand(folder: &str) -> Result<TokenStream, String> {
    let root = std::env::var_os("CARGO_MANIFEST_DIR")
        .ok_or("`CARGO_MANIFEST_DIR` is not set; build with cargo")?;
    let folder = Path::new(&root).join(folder);
    let read = read(&folder).map_err(|cause| format!("{}: {cause}", folder.display()))?;

    let text = Literal::string(&read.text);
    let bytes = Literal::byte_string(read.text.as_bytes());
    let length = read.text.len();
    let world = read.world;
    let questions: TokenStream = if read.asks {
        QUESTIONS
            .parse()
            .map_err(|cause| format!("the code for questions: {cause}"))?
    } else {
        TokenStream::new()
    };
    let sources = read.sources.iter().filter_map(|path| path.to_str());
    Ok(quote! {
        ::cloister_sdk::wit_bindgen::generate!({
            inline: #text,
            path: [],
            world: #world,
            runtime_path: "::cloister_sdk::wit_bindgen::rt",
            generate_all,
        });

        #questions

        /// The WIT text, where the host looks for it.
        #[cfg(target_arch = "wasm32")]
        #[unsafe(link_section = "cloister:wit")]
        static CLOISTER_WIT: [u8; #length] = *#bytes;

        // The build depends on these files.
        const _: &[&[u8]] = &[#(include_bytes!(#sources)),*];
    })
}

struct Read {
    /// The package with all that it uses, in one text.
    text: String,
    world: String,
    /// Whether the world imports `cloister:mcp/client`.
    asks: bool,
    sources: Vec<PathBuf>,
}

fn read(folder: &Path) -> Result<Read, String> {
    let mut resolve = Resolve::default();
    let (package, files) = match resolve.push_dir(folder) {
        Ok(read) => read,
        // It does not bring the host's package along, as it need not.
        Err(alone) => {
            resolve = Resolve::default();
            let mut sources = SourceMap::new();
            for (path, text) in HOST_WIT {
                sources.push(Path::new(path), text);
            }
            let host = sources.parse().map_err(|(_, cause)| cause.to_string())?;
            resolve
                .push_group(host)
                .map_err(|cause| cause.to_string())?;
            resolve.push_dir(folder).map_err(|beside| {
                if beside.to_string().contains("cloister:mcp") {
                    format!("{alone:#}")
                } else {
                    format!("{beside:#}")
                }
            })?
        }
    };
    let (world, id) = world(&resolve, package)?;
    let asks = imports(&resolve, id).any(|import| {
        import.starts_with("cloister:mcp/client@") || import == "cloister:mcp/client"
    });
    let others: Vec<PackageId> = resolve
        .packages
        .iter()
        .map(|(id, _)| id)
        .filter(|id| *id != package)
        .collect();
    let mut printer = WitPrinter::default();
    printer
        .print(&resolve, package, &others)
        .map_err(|cause| cause.to_string())?;
    Ok(Read {
        text: printer.output.to_string(),
        world,
        asks,
        sources: files.paths().map(Path::to_owned).collect(),
    })
}

/// The names of what a world imports.
fn imports(resolve: &Resolve, world: WorldId) -> impl Iterator<Item = String> + '_ {
    resolve
        .worlds
        .get(world)
        .into_iter()
        .flat_map(|world| world.imports.keys())
        .map(|import| resolve.name_world_key(import))
}

fn world(resolve: &Resolve, package: PackageId) -> Result<(String, WorldId), String> {
    let worlds = &resolve
        .packages
        .get(package)
        .ok_or("the package was not read")?
        .worlds;
    match (worlds.len(), worlds.first(), worlds.get("service")) {
        (1, Some((name, id)), _) => Ok((name.clone(), *id)),
        (_, _, Some(id)) => Ok(("service".to_owned(), *id)),
        (0, _, _) => Err("the package has no world; add `world service { export …; }`".to_owned()),
        (_, _, None) => {
            Err("the package has several worlds; name one of them `service`".to_owned())
        }
    }
}
