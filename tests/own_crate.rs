//! `pavlov new`: a crate of one's own, written, built and used as its README says.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use pavlov::{Overrides, Registries, RunConfig};
use toml::Table;

use crate::command::{Said, Workplace, files};

const CHECKOUT: &str = env!("CARGO_MANIFEST_DIR");

/// The variables without which cargo, rustup or the set-up does not find what it has.
const NEEDED: [&str; 6] = ["PATH", "HOME", "CARGO_HOME", "RUSTUP_HOME", "RUSTUP_TOOLCHAIN", "PAVLOV_CACHE"];

/// The profile's folder of the build that this test is part of.
fn profile_folder() -> PathBuf {
    let program = std::env::current_exe().expect("a path");
    program.ancestors().nth(2).expect("target/profile").to_path_buf()
}

/// A command in an environment that holds nothing but what is [`NEEDED`].
fn bare(program: &str, folder: &Path) -> Command {
    let mut command = Command::new(program);
    command.current_dir(folder).env_clear();
    let needed = NEEDED.iter().filter_map(|name| Some((name, std::env::var_os(name)?)));
    command.envs(needed);
    command
}

fn run(mut command: Command) -> Said {
    let said = Said::from(command.output().expect("the command starts"));
    assert!(said.success, "{command:?}: {}\n{}", said.out, said.err);
    said
}

/// The commands of the README of a new crate.
fn commands(readme: &str) -> Vec<String> {
    let (_, rest) = readme.split_once("```sh\n").expect("a block of commands");
    let (block, _) = rest.split_once("```").expect("its end");
    block.lines().map(|line| line.split('#').next().unwrap_or_default().trim().to_string()).collect()
}

/// The settings of cargo for the folder above the crate. The crate's build shares this build's folder, and
/// with it what is compiled of other crates; the C++ code is taken as it is there, and Pavlov's own crates,
/// which cargo compiles anew for another workspace, are not optimised. A user has none of this.
fn shared_build() -> String {
    let profile = profile_folder();
    let mut outputs: Vec<_> = fs::read_dir(profile.join("build"))
        .expect("the build scripts' folder")
        .map(|entry| entry.expect("an entry").path().join("output"))
        .filter(|output| fs::read_to_string(output).is_ok_and(|text| text.contains("static=pavlov_shim")))
        .collect();
    outputs.sort_by_key(|output| output.metadata().and_then(|data| data.modified()).expect("a time"));
    let output = fs::read_to_string(outputs.last().expect("the shim's build")).expect("a text");
    let values = |key: &str| -> Vec<String> {
        output.lines().filter_map(|line| line.strip_prefix(key)).map(|value| format!("{value:?}")).collect()
    };
    let (libraries, folders) = (values("cargo:rustc-link-lib="), values("cargo:rustc-link-search="));
    let target = profile.parent().expect("the target folder");
    let mut text = format!("[build]\ntarget-dir = {target:?}\nincremental = false\n");
    text += &format!(
        "[target.x86_64-unknown-linux-gnu.pavlov_shim]\nrustc-link-lib = [{}]\nrustc-link-search = [{}]\n",
        libraries.join(", "),
        folders.join(", ")
    );
    for name in ["", "-agents", "-common", "-data", "-envs", "-nn", "-runtime", "-tasks"] {
        text += &format!("[profile.dev.package.pavlov{name}]\nopt-level = 0\n");
    }
    text
}

#[test]
fn a_new_crate_is_built_trained_and_evaluated_as_its_readme_says() {
    let place = tempfile::Builder::new().prefix("a place with spaces ").tempdir().expect("a folder");
    let folder = place.path().join("own-crate-of-a-test");
    let mut new = bare(env!("CARGO_BIN_EXE_pavlov"), place.path());
    new.args(["new", "own-crate-of-a-test"]);
    assert!(run(new).out.contains("is ready in own-crate-of-a-test"));

    // With no variable set, the crate's own settings lead its build script to libtorch.
    fs::create_dir_all(folder.join("probe/src")).expect("a folder");
    let manifest = fs::read_to_string(folder.join("Cargo.toml")).expect("a text");
    let probe: String =
        manifest.lines().filter(|line| !line.starts_with("pavlov = ")).collect::<Vec<_>>().join("\n");
    fs::write(folder.join("probe/Cargo.toml"), probe).expect("a file");
    fs::copy(folder.join("build.rs"), folder.join("probe/build.rs")).expect("a copy");
    fs::write(folder.join("probe/src/main.rs"), "fn main() {}").expect("a file");
    let setup = || {
        let mut setup = bare("make", &folder);
        setup.arg("setup");
        run(setup)
    };
    let own = std::env::var_os("LIBTORCH").filter(|path| !Path::new(path).ends_with(".libtorch"));
    if own.is_none() {
        assert!(setup().err.contains("is ready"));
        let mut build = bare("cargo", &folder);
        build.args(["run", "--offline", "--manifest-path", "probe/Cargo.toml"]);
        run(build);
    }

    // The variables that cargo compares before it takes a build of other crates for its own.
    let libtorch = own.unwrap_or_else(|| Path::new(CHECKOUT).join(".libtorch").into());
    let headers = Path::new(CHECKOUT).join("build-support/no-libtorch");
    fs::create_dir(place.path().join(".cargo")).expect("a folder");
    fs::write(place.path().join(".cargo/config.toml"), shared_build()).expect("a file");
    let release = profile_folder().ends_with("release");
    let mut compiled = String::new();
    let mut told = String::new();
    for line in commands(&fs::read_to_string(folder.join("README.md")).expect("a README")) {
        let mut line = line.replace(" 40000", " 1500");
        if line.contains(" train ") {
            line += " --steps 1000 --set evaluation.every_env_steps=500";
        }
        if line.contains(" play ") {
            line += " --gif played.gif";
        }
        if !release {
            line = line.replace(" --release", "");
        }
        let mut command = bare("sh", &folder);
        command.args(["-c", &line]).env("LIBTORCH", &libtorch).env("CPLUS_INCLUDE_PATH", &headers);
        command.env("CARGO_NET_OFFLINE", "true");
        let said = run(command);
        compiled += &said.err;
        told += &format!("$ {line}\n{}{}\n", said.out, said.err);
    }
    for words in [
        "Shop-v0 keeps every law",
        "done after 1000 env steps",
        "Shop-v0 with ",
        ", 100 episodes",
        "done after 1500 env steps",
        "test the_shop_keeps_every_law ... ok",
    ] {
        assert!(told.contains(words), "`{words}` is missing:\n{told}");
    }
    assert!(folder.join("played.gif").is_file(), "{told}");
    let warned = |line: &&str| line.starts_with("warning") && line.contains("generated");
    assert_eq!(told.lines().find(warned), None, "{told}");
    for name in ["torch-sys", "tch"] {
        assert!(!compiled.contains(&format!("Compiling {name} v")), "{name} was compiled again: {compiled}");
    }
    let mut format = bare("cargo", &folder);
    format.args(["fmt", "--check"]);
    run(format);
}

#[test]
fn a_path_that_cannot_become_a_crate_is_refused_and_nothing_is_left_of_it() {
    let place = Workplace::new();
    fs::create_dir(place.path("full")).expect("a folder");
    fs::write(place.path("full/file"), "").expect("a file");
    fs::write(place.path("taken"), "").expect("a file");
    let before = files(&place.path("."));
    place.refuses(&[
        (&["new", "full"], &["full is a folder that is not empty"]),
        (&["new", "taken"], &["taken is there already"]),
        (&["new", "Shop"], &["`Shop` cannot be the name of a crate", "small letter"]),
        (&["new", "my shop"], &["`my shop` cannot be"]),
        (&["new", "läden"], &["small letter"]),
        (&["new", "3shops"], &["small letter"]),
        (&["new", "taken/shop"], &["the folder taken cannot be made"]),
        (&["new", "test"], &["meaning of its own"]),
        (&["new", "pavlov-build"], &["meaning of its own"]),
        (&["new", ".."], &["does not end in a name"]),
        (&["new", "shop", "--path", "full"], &["full is no checkout of Pavlov", "--git"]),
    ]);
    assert_eq!(files(&place.path(".")), before);
}

#[test]
fn a_new_crate_takes_pavlov_from_where_it_is_told_to() {
    let place = Workplace::new();
    let manifest = |arguments: &[&str], name: &str| -> Table {
        let said = place.pavlov(&[&["new"], arguments].concat());
        assert!(said.success, "{}", said.err);
        fs::read_to_string(place.path(name).join("Cargo.toml")).expect("a text").parse().expect("TOML")
    };
    fs::create_dir(place.path("empty-shop")).expect("a folder");
    let table = manifest(&["empty-shop"], "empty-shop");
    let checkout = Path::new(CHECKOUT).canonicalize().expect("a path");
    assert_eq!(table["package"]["name"].as_str(), Some("empty-shop"));
    assert_eq!(table["dependencies"]["pavlov"]["path"].as_str().map(Path::new), Some(&*checkout));
    let build = table["build-dependencies"]["pavlov-build"]["path"].as_str().map(Path::new);
    assert_eq!(build, Some(&*checkout.join("build-support")));
    let main = fs::read_to_string(place.path("empty-shop/src/main.rs")).expect("a text");
    assert!(main.contains("empty_shop::registries"), "{main}");

    let url = "https://example.org/a \"quoted\" one";
    let table = manifest(&["deep/er/shop", "--git", url, "--rev", "abc"], "deep/er/shop");
    for key in [&table["dependencies"]["pavlov"], &table["build-dependencies"]["pavlov-build"]] {
        assert_eq!((key["git"].as_str(), key["rev"].as_str()), (Some(url), Some("abc")));
        assert!(key.get("path").is_none());
    }
    assert!(fs::symlink_metadata(place.path("deep/er/shop/.libtorch")).is_err());
    for name in ["empty-shop", "deep/er/shop"] {
        for file in
            files(&place.path(name)).iter().filter(|file| !file.to_string_lossy().contains(".libtorch"))
        {
            let text = fs::read_to_string(file).expect("a text");
            assert!(!text.contains("my-world") && !text.contains("my_world"), "{}", file.display());
        }
    }
}

#[test]
fn a_preset_of_ones_own_is_the_default_of_its_pair_and_a_wrong_one_is_refused() {
    let steps = |registries: &Registries, agent: &str| {
        let config = RunConfig::resolve(registries, agent, "FrozenLake-v1", &Overrides::default());
        config.expect("a configuration").env_steps
    };
    let mut registries = Registries::bundled();
    let before = steps(&registries, "dqn");
    for (agent, text, words) in [
        ("dqm", "", &["dqm", "dqn"][..]),
        ("dqn", "environments = [\"FrozenLak-v1\"]", &["FrozenLake-v1"]),
        ("dqn", "environments = [\"FrozenLake-v1\"]\nenv_stps = 3", &["FrozenLake-v1", "env_steps"]),
        ("dqn", "environments = [\"FrozenLake-v1\"]\nenv_steps = 0", &["env_steps is 0"]),
    ] {
        let refused = registries.add_presets(agent, &format!("[[presets]]\n{text}"));
        let message = refused.expect_err("a wrong preset").to_string();
        assert!(words.iter().all(|word| message.contains(word)), "{message}");
        assert_eq!(steps(&registries, "dqn"), before, "nothing is left of it");
    }
    let text = "[[presets]]\nenvironments = [\"FrozenLake-v1\"]\nenv_steps = 77";
    registries.add_presets("dqn", text).expect("a right one");
    assert_eq!(steps(&registries, "dqn"), 77);
    assert!(registries.presets.pairs().contains(&("dqn".into(), "FrozenLake-v1".into())));
}

#[test]
fn the_template_has_pavlovs_own_profiles() {
    let profiles = |path: &str| {
        let text = fs::read_to_string(Path::new(CHECKOUT).join(path)).expect("a text");
        text.parse::<Table>().expect("TOML")["profile"].clone()
    };
    assert_eq!(profiles("template/Cargo.toml"), profiles("Cargo.toml"));
}

#[test]
fn the_guide_shows_what_the_template_has() {
    let read = |path: &str| fs::read_to_string(Path::new(CHECKOUT).join(path)).expect("a text");
    let guide = read("docs/your-own-project.md");
    let settings = read("template/.cargo/config.toml");
    for line in settings.lines().filter(|line| line.starts_with("LIBTORCH")) {
        assert!(guide.contains(line), "{line}");
    }
    assert!(guide.contains("pavlov_build::link_libtorch();"));
    let profiles = read("template/Cargo.toml");
    let (_, profiles) = profiles.split_once("[profile.release]").expect("profiles");
    let (profiles, _) = profiles.split_once("[workspace]").expect("their end");
    assert!(guide.contains(profiles.trim()), "{profiles}");
    for command in commands(&read("template/README.md")) {
        assert!(guide.contains(&command), "{command}");
    }
}
