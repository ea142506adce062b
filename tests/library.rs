//! Prompts, resources, templates, completions and content, as they come out of a component.

use std::fs;

use cloister::catalog::{Argument, Catalog, Completion, Lists, Resource};
use cloister::reload::{Contents, inspect_contents};
use cloister::sandbox::Compiler;
use serde_json::json;

use crate::harness::{TestHost, component};

const WIT: &str = include_str!("guests/library/wit/library.wit");

async fn serving(services: &[&str]) -> TestHost {
    let components: Vec<_> = services
        .iter()
        .map(|name| (*name, "guest_library"))
        .collect();
    TestHost::serving(&components).await
}

fn resources(catalog: &Catalog) -> Vec<String> {
    let (fixed, templates) = (catalog.resources(), catalog.templates());
    let line = |(uri, resource): (&str, &Resource)| {
        let Resource { function, held, .. } = resource;
        let mime_type = held.mime_type.as_deref().unwrap_or("-");
        format!(
            "{uri} {mime_type} {} of {}",
            function.name, function.service
        )
    };
    fixed.chain(templates).map(line).collect()
}

#[tokio::test]
async fn what_a_function_is_follows_from_what_it_returns() {
    let catalog = serving(&["library"]).await.catalog();
    let names: Vec<_> = catalog.tools().map(|(name, _)| name).collect();
    assert_eq!(names, ["about", "blurb"]);
    assert_eq!(
        resources(&catalog),
        [
            "library://loans - loans of library",
            "library://titles text/plain titles of library",
            "ui://library/shelf text/html;profile=mcp-app shelf of library",
            "library://books/{title} text/markdown book of library",
            "library://page/{bookTitle}/{number} - page of library",
        ]
    );

    let (name, prompt) = catalog.prompts().next().unwrap();
    assert_eq!((name, catalog.prompts().count()), ("review", 1));
    assert_eq!(prompt.function.title.as_deref(), Some("Review a book"));
    let argument = |name, description, required| Argument {
        name,
        title: (name == "book").then_some("The book"),
        description,
        required,
    };
    assert_eq!(
        prompt.arguments().collect::<Vec<_>>(),
        [
            argument("book", Some("Its title."), true),
            argument("stars", Some("How many of five."), true),
            argument("tone", Some("How something sounds."), false),
            argument("spoilers", None, false),
        ]
    );
    assert_eq!(
        catalog.prompt("about").err().unwrap().to_string(),
        "unknown prompt `about`; `prompts/list` names those there are"
    );
}

#[tokio::test]
async fn a_uri_leads_to_the_resource_that_says_most_of_it() {
    let catalog = serving(&["library"]).await.catalog();
    for (uri, expected) in [
        ("library://titles", Some(("titles", &[][..]))),
        ("library://books/Moby-Dick", Some(("book", &["Moby-Dick"]))),
        ("library://books/a%2Fb%20c", Some(("book", &["a/b c"]))),
        (
            "library://page/Moonfleet/7",
            Some(("page", &["Moonfleet", "7"])),
        ),
        ("library://books/{title}", None),
        ("library://books/", None),
        ("library://title", None),
        ("", None),
    ] {
        let found = catalog.resource(uri);
        let found = found.as_ref().map(|read| {
            let variables: Vec<&str> = read.variables.iter().map(String::as_str).collect();
            (&*read.resource.function.name, variables)
        });
        assert_eq!(
            found.ok(),
            expected.map(|(name, variables)| (name, variables.to_vec())),
            "{uri}"
        );
    }
    assert!(catalog.template("library://books/{title}").is_some());

    let page = catalog.resource("library://page/Moonfleet/seven").unwrap();
    let mistakes = page
        .resource
        .function
        .signature
        .decode_texts(&page.variables);
    assert_eq!(
        mistakes.unwrap_err().to_string(),
        "/number: expected an integer from 0 to 4294967295; got \"seven\""
    );
}

#[tokio::test]
async fn arguments_are_completed_by_their_types_or_by_a_function() {
    let catalog = serving(&["library"]).await.catalog();
    let prompt = catalog.prompt("review").unwrap();
    let fixed = |argument| match prompt.completion(argument) {
        Some(Completion::Fixed(values)) => values,
        Some(Completion::By(_)) | None => panic!("`{argument}` is not completed by its type"),
    };
    assert_eq!(fixed("tone"), ["plain", "veryFormal"]);
    let spoilers = fixed("spoilers");
    let matches: Vec<_> = Completion::beginning(&spoilers, "TR").collect();
    assert_eq!(matches, ["true"]);

    let book = catalog.template("library://books/{title}").unwrap();
    for completion in [prompt.completion("book"), book.completion("title")] {
        let Some(Completion::By(function)) = completion else {
            panic!("no function completes it");
        };
        assert_eq!(function.name, "completeTitle");
    }
    assert!(prompt.completion("stars").is_none() && prompt.completion("pages").is_none());
}

#[tokio::test]
async fn clients_are_told_of_the_lists_that_changed_and_no_others() {
    let host = serving(&["library"]).await;
    let before = host.catalog();
    let lists = before.changed();

    host.put("plain", "guest_plain");
    let catalog = host
        .until_catalog(|catalog| catalog.tools().count() > 2)
        .await;
    let changed = Lists {
        tools: catalog.generation(),
        ..lists
    };
    assert_eq!(catalog.changed(), changed);

    // Other words of a resource, and nothing else.
    let words = WIT.replace("One page of a book.", "A page of some book.");
    fs::write(host.file("library.wit"), &words).unwrap();
    let generation = catalog.generation();
    let catalog = host
        .until_catalog(|catalog| catalog.generation() > generation)
        .await;
    let changed = Lists {
        resources: catalog.generation(),
        ..changed
    };
    assert_eq!(catalog.changed(), changed);

    // A comment in the text is nothing that clients see.
    fs::write(host.file("library.wit"), format!("{words}// A note.\n")).unwrap();
    let generation = catalog.generation();
    let catalog = host
        .until_catalog(|catalog| catalog.generation() > generation)
        .await;
    assert_eq!(catalog.changed(), changed);

    fs::remove_file(host.file("library.wasm")).unwrap();
    let catalog = host
        .until_catalog(|catalog| catalog.prompts().count() == 0)
        .await;
    let all = catalog.generation();
    assert_eq!(
        catalog.changed(),
        Lists {
            tools: all,
            prompts: all,
            resources: all
        }
    );
}

#[tokio::test]
async fn an_address_that_two_services_want_is_given_to_neither() {
    let host = serving(&["branch", "library"]).await;
    let catalog = host.catalog();
    assert_eq!(
        resources(&catalog),
        [
            "branch://loans - loans of branch",
            "branch://shelf text/html;profile=mcp-app shelf of branch",
            "branch://titles text/plain titles of branch",
            "library://loans - loans of library",
            "library://shelf text/html;profile=mcp-app shelf of library",
            // This is what it falls back to.
            "library://titles text/plain titles of library",
            "branch://book/{title} text/markdown book of branch",
            "branch://page/{bookTitle}/{number} - page of branch",
            "library://book/{title} text/markdown book of library",
            "library://page/{bookTitle}/{number} - page of library",
        ]
    );
    let contested: Vec<_> = catalog.contested().map(|(address, _)| address).collect();
    assert_eq!(
        contested,
        [
            "library://books/{}",
            "library://titles",
            "ui://library/shelf"
        ]
    );
    let names: Vec<_> = catalog.prompts().map(|(name, _)| name).collect();
    assert_eq!(names, ["branch_review", "library_review"]);
    assert_eq!(
        catalog.prompt("review").err().unwrap().to_string(),
        "`review` is a prompt of several services; call `branch_review` or `library_review`"
    );

    // As soon as one is gone, the other has what it wants.
    fs::remove_file(host.file("branch.wasm")).unwrap();
    let catalog = host
        .until_catalog(|catalog| catalog.prompt("review").is_ok())
        .await;
    assert_eq!(
        resources(&catalog),
        resources(&serving(&["library"]).await.catalog())
    );
}

/// The notes on the library with other words.
fn notes(wit: &str) -> Vec<String> {
    let compiler = Compiler::for_inspection().unwrap();
    let wasm = fs::read(component("guest_library")).unwrap();
    let contents = Contents::new(wasm, Some(wit.as_bytes().to_vec()), None);
    inspect_contents("library", &contents, &compiler)
        .unwrap()
        .notes
}

#[test]
fn tags_that_stand_where_they_cannot_are_told() {
    assert_eq!(notes(WIT), [""; 0]);
    let wit = WIT
        .replace("/// @title Review a book", "/// @readonly\n/// @uri a://b\n/// @schema {}")
        .replace("/// @completes book/title", "/// @completes book/page\n/// @completes about/title\n/// @completes review\n/// @completes review/book")
        .replace("/// @mime text/plain", "/// @mime plain\n/// @completes review/book")
        .replace("library://books/{title}", "library://books/{name}")
        .replace("/// Everything about", "/// @uri library://about\n/// @schema {\"type\":\"object\",\"allOf\":[{}]}\n/// Everything about");
    insta::assert_snapshot!(notes(&wit).join("\n"));
}

#[tokio::test]
async fn a_component_without_tools_is_a_service() {
    let host = TestHost::serving(&[]).await;
    let hidden = ["/// Everything", "/// What is on the back"]
        .iter()
        .fold(WIT.to_owned(), |wit, first| {
            wit.replace(first, &format!("/// @hidden\n  {first}"))
        });
    fs::write(host.file("library.wit"), hidden).unwrap();
    host.put("library", "guest_library");
    let catalog = host
        .until_catalog(|catalog| catalog.services().count() == 1)
        .await;
    let counts = [
        catalog.tools().count(),
        catalog.prompts().count(),
        catalog.resources().count(),
    ];
    assert_eq!(counts, [0, 1, 3]);
}

#[tokio::test]
async fn content_is_sent_as_the_tool_made_it() {
    let host = serving(&["library"]).await;
    insta::assert_json_snapshot!(
        host.call(None, "about", json!({ "title": "Moonfleet" }))
            .await
    );
    insta::assert_json_snapshot!(
        host.call(None, "blurb", json!({ "title": "Moonfleet" }))
            .await
    );
    let failed = host.call(None, "blurb", json!({ "title": "Mars" })).await;
    assert_eq!(failed["isError"], true);
}
