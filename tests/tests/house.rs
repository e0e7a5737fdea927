//! Checks the structure of the code: the steps of READING.md, the dependencies of the model, and cycles of modules.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use pulsegate_tests::{read, repository};

#[test]
fn every_step_of_the_reading_page_is_a_function_of_the_file_it_names() {
    let page = read("READING.md");
    let steps = page.lines().filter(|line| line.starts_with(|c: char| c.is_ascii_digit()));
    let mut count = 0;
    for step in steps {
        let (link, rest) = step.split_once("[`").and_then(|(_, rest)| rest.split_once("`](")).unwrap();
        let (file, function) = link.split_once(':').unwrap();
        assert_eq!(rest.split_once(')').unwrap().0, file, "{step}");
        assert!(rest.len() > file.len() + 20, "{step} describes the function");
        let source = read(file);
        let defined = ["(", "<"].iter().any(|open| source.contains(&format!("fn {function}{open}")));
        assert!(defined, "{file} has no function {function}");
        count += 1;
    }
    assert!(count >= 20, "{count} steps");
    for quoted in page.split('`').skip(1).step_by(2).filter(|quoted| quoted.ends_with("_response")) {
        assert!(read("shared/aws/src/lambda.rs").contains(&format!("fn {quoted}(")), "{quoted}");
    }
}

#[test]
fn the_model_needs_no_sdk_no_runtime_and_no_host() {
    let cargo = Command::new(env!("CARGO"))
        .args(["tree", "--offline", "--locked", "-p", "pulsegate-model", "-e", "normal,build", "--prefix", "none"])
        .current_dir(repository("."))
        .output()
        .unwrap();
    let tree = String::from_utf8(cargo.stdout).unwrap();
    let crates: BTreeSet<&str> = tree.lines().filter_map(|line| line.split(' ').next()).collect();
    assert!(crates.contains("pulsegate-model") && crates.contains("prost"), "{tree}");
    for part in ["aws", "tokio", "lambda", "hyper", "ring", "async", "futures", "socket", "mio"] {
        let found: Vec<_> = crates.iter().filter(|name| name.split(['-', '_']).any(|word| word == part)).collect();
        assert!(found.is_empty(), "{found:?}");
    }
}

/// Only a crate's top-level modules count; deeper ones belong to these.
#[test]
fn no_module_of_a_product_crate_needs_one_that_needs_it() {
    let crates = [
        "shared/model",
        "shared/pipeline",
        "shared/aws",
        "udp-bridge",
        "functions/sigfox-callback",
        "functions/sigfox-recovery",
    ];
    for folder in crates {
        let needs = needs_of(&repository(folder).join("src"));
        assert!(needs.len() > 2, "{folder}: {needs:?}");
        let reached: BTreeMap<&str, BTreeSet<&str>> =
            needs.keys().map(|from| (from.as_str(), reach(&needs, from))).collect();
        let in_a_circle: Vec<_> = reached.iter().filter(|(module, reached)| reached.contains(*module)).collect();
        assert!(in_a_circle.is_empty(), "{folder}: {in_a_circle:#?}");
    }
}

/// Returns all modules that a module needs, directly or indirectly.
fn reach<'a>(needs: &'a BTreeMap<String, BTreeSet<String>>, from: &str) -> BTreeSet<&'a str> {
    let mut reached = BTreeSet::new();
    let mut left: Vec<&str> = needs[from].iter().map(String::as_str).collect();
    while let Some(module) = left.pop() {
        if reached.insert(module) {
            left.extend(needs[module].iter().map(String::as_str));
        }
    }
    reached
}

/// Returns the modules that each module names as `crate::module`, without tests and fakes.
fn needs_of(src: &Path) -> BTreeMap<String, BTreeSet<String>> {
    let mut needs: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut folders = vec![src.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if name.starts_with("tests") || name == "fakes" || name.starts_with("fakes.") {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let below = path.strip_prefix(src).unwrap();
            let module = below.iter().next().unwrap().to_string_lossy().trim_end_matches(".rs").to_owned();
            if matches!(module.as_str(), "lib" | "main") {
                continue;
            }
            let source = std::fs::read_to_string(&path).unwrap();
            let product = source.split("#[cfg(test)]\nmod").next().unwrap();
            let code = product.lines().filter(|line| !line.trim_start().starts_with("//"));
            let named = named_modules(&code.collect::<Vec<_>>().join("\n"));
            needs.entry(module.clone()).or_default().extend(named.into_iter().filter(|named| *named != module));
        }
    }
    let modules: BTreeSet<String> = needs.keys().cloned().collect();
    for named in needs.values_mut() {
        named.retain(|name| modules.contains(name));
    }
    needs
}

/// Finds the modules in `crate::a::B` and `use crate::{a, b::C}`.
fn named_modules(code: &str) -> BTreeSet<String> {
    let word = |text: &str| text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    let mut named = BTreeSet::new();
    for rest in code.split("crate::").skip(1) {
        match rest.strip_prefix('{') {
            Some(group) => {
                let group = group.split('}').next().unwrap();
                named.extend(group.split(',').map(|member| word(member.trim())));
            }
            None => {
                named.insert(word(rest));
            }
        }
    }
    named
}
