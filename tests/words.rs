//! The texts that come with a component: which of them count, what they fill in, and that what one of
//! them restricts is restricted.

use std::fmt::Write;
use std::fs;

use cloister::issuer::DevelopmentIssuer;
use cloister::reload::{Contents, Inspection, inspect_contents};
use cloister::sandbox::Compiler;
use serde_json::{Value, json};

use crate::harness::{TestHost, call, component};

/// What a component is described as with a text beside it.
pub(crate) fn inspected(wasm: &[u8], sidecar: Option<&str>) -> Result<Inspection, String> {
    inspected_with(wasm, sidecar, None)
}

/// The same with a manifest.
pub(crate) fn inspected_with(
    wasm: &[u8],
    sidecar: Option<&str>,
    manifest: Option<&str>,
) -> Result<Inspection, String> {
    let bytes = |text: &str| text.as_bytes().to_vec();
    let contents = Contents::new(wasm.to_vec(), sidecar.map(bytes), manifest.map(bytes));
    inspect_contents("plain", &contents, &Compiler::for_inspection().unwrap())
}

/// A component without words.
pub(crate) fn plain() -> Vec<u8> {
    fs::read(component("guest_plain")).unwrap()
}

/// The component with a custom section at its end.
pub(crate) fn with_section(component: &[u8], name: &str, data: &[u8]) -> Vec<u8> {
    fn number(mut value: usize, out: &mut Vec<u8>) {
        loop {
            let low = u8::try_from(value & 0x7f).unwrap();
            value >>= 7;
            out.push(if value == 0 { low } else { low | 0x80 });
            if value == 0 {
                return;
            }
        }
    }
    let mut content = Vec::new();
    number(name.len(), &mut content);
    content.extend(name.as_bytes());
    content.extend(data);
    let mut out = component.to_vec();
    out.push(0);
    number(content.len(), &mut out);
    out.extend(content);
    out
}

/// The section in which other tools put docs.
fn package_docs(component: &[u8], docs: &Value) -> Vec<u8> {
    let data = [b"\x01", docs.to_string().as_bytes()].concat();
    with_section(component, "package-docs", &data)
}

/// The interface of the plain service, with these words on its functions.
fn shapes(mirror: &str, sum: &str) -> String {
    format!(
        "interface shapes {{
          record point {{ x: s32, y: s32, label: option<string> }}
          {mirror}
          mirror: func(at: point) -> result<point, string>;
          {sum}
          sum: func(terms: list<s32>, start: option<s32>) -> s64;
        }}"
    )
}

/// A text for the plain service, with these words on its functions.
fn words(mirror: &str, sum: &str, greet: &str) -> String {
    format!(
        "package acme:plain@1.2.3;
        {}
        world plain {{
          export shapes;
          {greet}
          export greet: func(name: string) -> string;
        }}",
        shapes(mirror, sum)
    )
}

/// The description of each tool, and whom it is for.
fn told(inspection: &Inspection) -> Vec<String> {
    let tools = inspection.service.tools.iter().map(|tool| {
        let description = tool.function.description.as_deref().unwrap_or("-");
        let scopes = tool.function.access.scopes().join(" ");
        format!("{}: {description} {scopes}", tool.function.name)
            .trim_end()
            .to_owned()
    });
    let mut tools: Vec<_> = tools.collect();
    tools.sort();
    tools
}

#[test]
fn a_text_fills_in_what_those_nearer_to_the_operator_leave_out() {
    let docs = json!({
        "interfaces": { "shapes": { "funcs": {
            "mirror": { "docs": "Mirror, of package-docs." },
            "sum": { "docs": "Sum, of package-docs." },
        } } },
        "worlds": { "plain": { "funcs": { "greet": { "docs": "Greet, of package-docs." } } } },
    });
    let wasm = package_docs(&plain(), &docs);
    assert_eq!(
        told(&inspected(&wasm, None).unwrap()),
        [
            "greet: Greet, of package-docs.",
            "mirror: Mirror, of package-docs.",
            "sum: Sum, of package-docs."
        ]
    );
    let section = words(
        "/// Mirror, of the section.\n/// @readonly",
        "/// Sum, of the section.",
        "",
    );
    let wasm = with_section(&wasm, "cloister:wit", section.as_bytes());
    let sidecar = words("/// Mirror, of beside.", "/// @name add", "");
    let inspection = inspected(&wasm, Some(&sidecar)).unwrap();
    assert_eq!(inspection.notes, [""; 0]);
    assert_eq!(
        told(&inspection),
        [
            "add: Sum, of the section.",
            "greet: Greet, of package-docs.",
            "mirror: Mirror, of beside."
        ]
    );
    let tools = &inspection.service.tools;
    let mirror = tools.iter().find(|tool| tool.function.wit == "mirror");
    assert_eq!(mirror.unwrap().annotations.read_only, Some(true));
}

#[test]
fn a_text_that_cannot_be_used_is_told_of_and_the_next_one_counts() {
    let section = words("", "/// Sum, of the section.", "");
    let wasm = with_section(&plain(), "cloister:wit", section.as_bytes());
    for (sidecar, told_of) in [
        ("not WIT at all", "the text beside it cannot be used"),
        (
            "package a:b; interface c {}",
            "the text beside it is about nothing that the component exports",
        ),
    ] {
        let inspection = inspected(&wasm, Some(sidecar)).unwrap();
        assert!(told(&inspection).contains(&"sum: Sum, of the section.".to_owned()));
        assert!(
            inspection.notes[0].contains(told_of),
            "{:?}",
            inspection.notes
        );
    }
    // What may restrict and cannot be read might restrict anything.
    let cause = inspected(&wasm, Some("package a:b { @scope"))
        .err()
        .unwrap();
    assert!(
        cause.contains("cannot be used: the text beside it"),
        "{cause}"
    );
}

/// Components made of others have what each of them brought along.
#[test]
fn the_texts_of_what_is_inside_are_all_read() {
    let module = |text: &str| {
        let text = text.bytes().fold(String::new(), |mut text, byte| {
            write!(text, "\\{byte:02x}").unwrap();
            text
        });
        format!(r#"(core module (@custom "cloister:wit" "{text}"))"#)
    };
    let one = "package a:one; interface one { /// One.\n run: func(ref: u32) -> u32; }";
    let two = "package a:two; interface two { /// Two.\n @scope(a) go: func(ref: u32) -> u32; }"
        .replace("@scope(a) ", "/// @scope b\n");
    let wasm = wat::parse_str(format!(
        r#"(component
            {} {}
            (core module $m (func (export "f") (param i32) (result i32) (local.get 0)))
            (core instance $i (instantiate $m))
            (func $f (param "ref" u32) (result u32) (canon lift (core func $i "f")))
            (instance $one (export "run" (func $f)))
            (instance $two (export "go" (func $f)))
            (export "a:one/one" (instance $one))
            (export "a:two/two" (instance $two)))"#,
        module(one),
        module(&two)
    ))
    .unwrap();
    let inspection = inspected(&wasm, None).unwrap();
    assert_eq!(told(&inspection), ["go: Two. b", "run: One."]);
}

#[test]
fn an_interface_that_is_written_in_the_world_has_its_words() {
    let wasm = wat::parse_str(
        r#"(component
            (core module $m (func (export "f") (param i32) (result i32) (local.get 0)))
            (core instance $i (instantiate $m))
            (func $f (param "ref" u32) (result u32) (canon lift (core func $i "f")))
            (instance $tools (export "run" (func $f)))
            (export "tools" (instance $tools))
            (export "more" (instance $tools)))"#,
    )
    .unwrap();
    let text = "package a:b;
        interface others { /// Another.\n run: func(ref: u32) -> u32; }
        world w {
          export tools: interface { /// Runs.\n /// @param ref Which.\n run: func(ref: u32) -> u32; }
          export more: others;
        }";
    let inspection = inspected(&wasm, Some(text)).unwrap();
    assert_eq!(
        told(&inspection),
        ["more_run: Another.", "tools_run: Runs."]
    );
    let restricted = text.replace("/// Runs.", "/// @scope a");
    let inspection = inspected(&wasm, Some(&restricted)).unwrap();
    assert_eq!(told(&inspection), ["more_run: Another.", "tools_run: - a"]);

    let docs = json!({ "worlds": { "w": { "interfaces": { "tools": { "funcs": { "run": "Runs." } } } } } });
    let documented = [b"\0", docs.to_string().as_bytes()].concat();
    let documented = with_section(&wasm, "package-docs", &documented);
    let inspection = inspected(&documented, None).unwrap();
    assert_eq!(told(&inspection), ["more_run: -", "tools_run: Runs."]);
}

#[test]
fn what_any_text_restricts_is_restricted() {
    let open = words("", "", "");
    let scope = "/// @scope a";
    let world = |name: &str, greet: &str| {
        format!("world {name} {{ {greet}\n export greet: func(name: string) -> string; }}")
    };
    let package = format!("package acme:plain@1.2.3; {}", shapes("", ""));
    let worlds = |one: &str, other: &str| {
        format!("{package} {} {}", world("dev", one), world("prod", other))
    };
    let docs = |worlds: Value| package_docs(&plain(), &json!({ "worlds": worlds }));
    let greet = |key: &str, text: &str| json!({ key: { "greet": { "docs": text } } });
    let section = with_section(&plain(), "cloister:wit", words("", "", scope).as_bytes());
    for (what, wasm, sidecar) in [
        ("the second world", plain(), Some(worlds("", scope))),
        (
            "the first world",
            plain(),
            Some(worlds(scope, "/// Greets.")),
        ),
        (
            "the section, and the text beside it does not",
            section.clone(),
            Some(open.clone()),
        ),
        (
            "the section, and the text beside it is about something else",
            section,
            Some("package x:y;".into()),
        ),
        (
            "one world of package-docs",
            docs(json!({ "a": greet("funcs", "@scope a"), "b": greet("funcs", "Greets.") })),
            None,
        ),
        (
            "the other world of package-docs",
            docs(
                json!({ "a": greet("func_exports", "Greets."), "b": greet("func_exports", "@scope a") }),
            ),
            None,
        ),
        (
            "package-docs, and the text beside it does not",
            docs(json!({ "a": greet("funcs", "@scope a") })),
            Some(open),
        ),
    ] {
        let inspection = inspected(&wasm, sidecar.as_deref()).unwrap();
        let greet = told(&inspection)
            .into_iter()
            .find(|line| line.starts_with("greet"));
        assert!(
            greet.as_deref().is_some_and(|line| line.ends_with(" a")),
            "{what}: {greet:?}"
        );
    }
    // Where it cannot be told what is meant, nothing is served.
    for (what, wasm, sidecar, left) in [
        (
            "above where it is exported",
            plain(),
            Some(words("", "", "").replace("export shapes", "/// @scope a\nexport shapes")),
            "greet",
        ),
        (
            "roles that exclude each other",
            plain(),
            Some(worlds("/// @role a", "/// @role b")),
            "mirror sum",
        ),
        (
            "a world of package-docs",
            docs(json!({ "a": { "docs": "@scope a" } })),
            None,
            "",
        ),
        (
            "an interface of another name",
            package_docs(
                &plain(),
                &json!({ "interfaces": { "other": { "funcs": { "sum": { "docs": "@scope a" } } } } }),
            ),
            Some("package x:y;".into()),
            "greet mirror",
        ),
    ] {
        let names = match inspected(&wasm, sidecar.as_deref()) {
            Ok(inspection) => told(&inspection),
            Err(_) => Vec::new(),
        };
        let names: Vec<_> = names
            .iter()
            .map(|line| line.split(':').next().unwrap())
            .collect();
        assert_eq!(names.join(" "), left, "{what}");
    }
}

#[tokio::test]
async fn a_function_that_only_one_world_restricts_is_not_open() {
    let host = TestHost::serving(&[]).await;
    let text = format!(
        "package acme:plain@1.2.3; {}
        world dev {{ export greet: func(name: string) -> string; }}
        world prod {{ /// @scope admin\n export greet: func(name: string) -> string; }}",
        shapes("", "")
    );
    fs::write(host.file("plain.wit"), text).unwrap();
    host.put("plain", "guest_plain");
    host.until(|names| names.contains(&"greet".to_owned()))
        .await;
    let reply = host
        .send(None, &call(1, "greet", json!({ "name": "x" })))
        .await;
    assert_eq!(reply.status, 401);
}

#[test]
fn words_of_other_types_are_about_something_else() {
    let fits = words("/// Mirrors.", "/// Sums.", "/// Greets.");
    for (what, other) in [
        (
            "a parameter more",
            fits.replace("start: option<s32>", "start: option<s32>, more: u8"),
        ),
        ("a parameter less", fits.replace(", start: option<s32>", "")),
        ("another name", fits.replace("terms:", "items:")),
        (
            "another item",
            fits.replace("terms: list<s32>", "terms: list<s64>"),
        ),
        (
            "another kind",
            fits.replace("terms: list<s32>", "terms: option<s32>"),
        ),
        ("another result", fits.replace("-> s64", "-> s32")),
        ("no result", fits.replace(" -> s64", "")),
        (
            "an alias of another type",
            fits.replace("-> s64", "-> wide")
                .replace("record point", "type wide = u64; record point"),
        ),
    ] {
        let inspection = inspected(&plain(), Some(&other)).unwrap();
        assert_eq!(told(&inspection)[2], "sum: -", "{what}");
        assert_eq!(
            inspection.notes,
            [
                "`acme:plain/shapes@1.2.3#sum` goes without its words of the text beside it: that describes other types than the component has"
            ],
            "{what}"
        );
    }
    for (what, other) in [
        ("a field more", fits.replace("y: s32,", "y: s32, z: s32,")),
        (
            "fields in another order",
            fits.replace("x: s32, y: s32", "y: s32, x: s32"),
        ),
        (
            "a field of another type",
            fits.replace("label: option<string>", "label: string"),
        ),
        (
            "another err",
            fits.replace("result<point, string>", "result<point>"),
        ),
    ] {
        let inspection = inspected(&plain(), Some(&other)).unwrap();
        assert_eq!(told(&inspection)[1], "mirror: -", "{what}");
    }
    // What a name stands for is what counts.
    let alias = fits
        .replace("-> s64", "-> wide")
        .replace("record point", "type wide = s64; record point");
    let inspection = inspected(&plain(), Some(&alias)).unwrap();
    assert_eq!(told(&inspection)[2], "sum: Sums.");
}

#[test]
fn what_is_missing_misplaced_or_misspelled_is_told() {
    let text = "
        /// @title Shapes and more
        package acme:plain@1.2.3;
        /// @readonly
        interface shapes {
          /// @name spot
          /// @readonly
          record point {
            /// @name a b
            /// @scope a
            x: s32,
            y: s32,
            /// @pattern (?i)a
            label: option<string>,
          }
          /// @title A
          /// @title B
          /// @name mirror!
          /// @param at as
          /// @Readonly
          mirror: func(at: point) -> result<point, string>;
          /// Adds.
          /// @autor me
          /// @param trems What to add.
          /// @param start as a,b Where to begin.
          /// @default start x
          /// @mime image/png
          /// @schema {
          /// @uri a://b
          sum: func(terms: list<s32>, start: option<s32>) -> s64;
          /// @hidden
          gone: func();
        }
        /// @hidden
        world plain {
          export shapes;
          export greet: func(name: string) -> string;
        }";
    let inspection = inspected(&plain(), Some(text)).unwrap();
    insta::assert_snapshot!(inspection.notes.join("\n"));
    // A tag costs what it would have said, and nothing else.
    assert_eq!(
        told(&inspection),
        ["greet: -", "mirror: @Readonly", "sum: Adds.\n@autor me"]
    );
    let tools = &inspection.service.tools;
    let sum = tools
        .iter()
        .find(|tool| tool.function.wit == "sum")
        .unwrap();
    let sum = &sum.function;
    assert!(sum.signature.output_schema().is_some() && sum.signature.media().is_none());
    assert!(sum.signature.params().get("start").is_some());
}

#[test]
fn names_that_some_clients_drop_are_told() {
    let long = "x".repeat(51);
    let text = words("", &format!("/// @name {long}"), "");
    let inspection = inspected_with(&plain(), Some(&text), Some("case = \"kebab-case\"")).unwrap();
    insta::assert_snapshot!(inspection.notes.join("\n"));
}

#[test]
fn parameters_of_one_name_are_told_how_to_be_told_apart() {
    let wasm = wat::parse_str(
        r#"(component
            (core module $m (func (export "f") (param i32 i32)))
            (core instance $i (instantiate $m))
            (func $f (param "foo-1" u32) (param "foo1" u32) (canon lift (core func $i "f")))
            (export "run" (func $f)))"#,
    )
    .unwrap();
    let cause = inspected(&wasm, None).err().unwrap();
    assert!(
        cause.contains("its parameters `foo-1` and `foo1` are both called `foo1`: rename one of them, as in `@param foo1 as other`"),
        "{cause}"
    );
    let text = "package a:b; world w { /// @param foo1 as other\n export run: func(foo-1: u32, foo1: u32); }";
    assert!(inspected(&wasm, Some(text)).is_ok());
}

#[tokio::test]
async fn in_production_a_service_that_asks_who_calls_must_have_its_text() {
    let clock = cloister::auth::system_clock();
    let issuer = DevelopmentIssuer::start(clock).await.unwrap();
    let settings = [("production", "true"), ("clerk.issuer", issuer.issuer())];
    let host = TestHost::with(&[("faulty", "guest_faulty")], &settings).await;
    let whoami = |names: &[String]| names.contains(&"whoami".to_owned());
    assert!(whoami(&host.names()), "it brings its text along");

    // What strips the text might have stripped what it restricts.
    let mut stripped = fs::read(component("guest_faulty")).unwrap();
    let section = stripped
        .windows(12)
        .position(|it| it == b"cloister:wit")
        .unwrap();
    stripped[section] = b'C';
    let put = |host: &TestHost, service: &str| {
        fs::write(host.file(".new"), &stripped).unwrap();
        fs::rename(host.file(".new"), host.file(&format!("{service}.wasm"))).unwrap();
    };
    fs::remove_file(host.file("faulty.wasm")).unwrap();
    host.until(<[String]>::is_empty).await;
    put(&host, "faulty");
    host.put("plain", "guest_plain");
    host.until(|names| names == ["greet", "mirror", "sum"])
        .await;
    fs::write(host.file("faulty.toml"), "wit = \"none\"\n").unwrap();
    host.until(whoami).await;
    fs::remove_file(host.file("faulty.wasm")).unwrap();
    host.until(|names| !whoami(names)).await;
    fs::remove_file(host.file("faulty.toml")).unwrap();
    fs::write(
        host.file("faulty.wit"),
        include_str!("guests/faulty/wit/faulty.wit"),
    )
    .unwrap();
    put(&host, "faulty");
    host.until(whoami).await;

    // In development it is served as it comes.
    let host = TestHost::serving(&[]).await;
    put(&host, "faulty");
    host.until(whoami).await;
}
