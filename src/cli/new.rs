//! `pavlov new`: writes a crate of one's own, from the files in `template/`.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use toml::Value;

use super::args::NewArgs;
use super::say::say;
use crate::files::for_shell;

/// The name of the template's crate.
const NAME: &str = "my-world";
/// The checkout that this program was built in.
const CHECKOUT: &str = env!("CARGO_MANIFEST_DIR");

/// The lines of the template's `Cargo.toml` that say where Pavlov is, with the folder of each in the
/// checkout.
const DEPENDENCIES: [(&str, &str); 2] =
    [("pavlov = { path = \"..\" }", ""), ("pavlov-build = { path = \"../build-support\" }", "build-support")];

/// A file of a new crate: its place, its text, and whether it is a program.
type File = (&'static str, &'static str, bool);

/// The template, then what stands in the checkout for itself as well: scripts that bring libtorch, and the
/// versions of the dependencies that Pavlov is tested with.
const FILES: &[File] = &[
    ("Cargo.toml", include_str!("../../template/Cargo.toml"), false),
    ("build.rs", include_str!("../../template/build.rs"), false),
    (".cargo/config.toml", include_str!("../../template/.cargo/config.toml"), false),
    (
        ".cargo/no-libtorch/torch/torch.h",
        include_str!("../../template/.cargo/no-libtorch/torch/torch.h"),
        false,
    ),
    (".gitignore", include_str!("../../template/.gitignore"), false),
    ("Makefile", include_str!("../../template/Makefile"), false),
    ("README.md", include_str!("../../template/README.md"), false),
    ("presets/dqn.toml", include_str!("../../template/presets/dqn.toml"), false),
    ("src/lib.rs", include_str!("../../template/src/lib.rs"), false),
    ("src/main.rs", include_str!("../../template/src/main.rs"), false),
    ("tests/laws.rs", include_str!("../../template/tests/laws.rs"), false),
    ("Cargo.lock", include_str!("../../Cargo.lock"), false),
    ("scripts/setup-libtorch.sh", include_str!("../../scripts/setup-libtorch.sh"), true),
    ("scripts/lib.sh", include_str!("../../scripts/lib.sh"), false),
    ("scripts/libtorch-cpu.txt", include_str!("../../scripts/libtorch-cpu.txt"), false),
    ("scripts/libtorch-cuda.txt", include_str!("../../scripts/libtorch-cuda.txt"), false),
];

/// Names that cargo refuses, or that would stand for something else in the crate's code or target folder.
#[rustfmt::skip]
const TAKEN: &[&str] = &[
    "abstract", "alloc", "as", "async", "await", "become", "box", "break", "build", "const", "continue",
    "core", "crate", "deps", "do", "dyn", "else", "enum", "examples", "extern", "false", "final", "fn",
    "for", "gen", "if", "impl", "in", "incremental", "let", "loop", "macro", "main", "match", "mod",
    "move", "mut", "override", "pavlov", "pavlov_agents", "pavlov_build", "pavlov_common", "pavlov_data",
    "pavlov_envs", "pavlov_nn", "pavlov_runtime", "pavlov_tasks", "priv", "proc_macro", "pub", "ref",
    "return", "self", "static", "std", "struct", "super", "test", "trait", "true", "try", "type",
    "typeof", "unsafe", "unsized", "use", "virtual", "where", "while", "yield",
];

pub(super) fn new(args: &NewArgs) -> Result<ExitCode> {
    let Some(folder) = args.path.file_name() else {
        bail!(
            "`{}` does not end in a name: give a new folder, named as the crate is to be",
            args.path.display()
        );
    };
    let name = folder.to_str().unwrap_or_default();
    check_name(name)?;
    refuse_existing(&args.path)?;
    let source = Source::of(args, Path::new(CHECKOUT))?;
    let parent = match args.path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    fs::create_dir_all(parent).with_context(|| format!("the folder {} cannot be made", parent.display()))?;
    // Put together beside its place, then renamed: there is a whole crate or none.
    let part = parent.join(format!(".{name}.part-{}", std::process::id()));
    let written = write(&part, name, &source).and_then(|linked| {
        fs::rename(&part, &args.path)?;
        Ok(linked)
    });
    let linked = written.map_err(|error| {
        let _ = fs::remove_dir_all(&part);
        anyhow::Error::new(error).context(format!("{} cannot be written", args.path.display()))
    })?;
    say!("{name} is ready in {}. Go on with:", args.path.display());
    say!("  cd {}", for_shell(&args.path));
    if !linked {
        say!("  make setup                                  # brings libtorch");
    }
    say!("  cargo run --release -- check Shop-v0        # the world in src/lib.rs");
    say!("  cargo run --release -- train dqn Shop-v0");
    Ok(ExitCode::SUCCESS)
}

/// Checks that the name can be that of a crate, and of its library in Rust code.
fn check_name(name: &str) -> Result<()> {
    let fits = name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.len() <= 64
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_');
    if !fits {
        bail!(
            "`{name}` cannot be the name of a crate: the last part of the path has to begin with a small letter and \
             to hold nothing but small letters, digits, `-` and `_`, at most 64 of them"
        );
    }
    if TAKEN.contains(&name.replace('-', "_").as_str()) {
        bail!(
            "`{name}` cannot be the name of a crate: it has a meaning of its own in Rust, cargo or Pavlov. \
             Take another"
        );
    }
    Ok(())
}

fn refuse_existing(path: &Path) -> Result<()> {
    let what = match fs::symlink_metadata(path) {
        // A file in the place of a folder above it is found when that folder is to be made.
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(());
        }
        Err(error) => return Err(error).with_context(|| format!("{} cannot be looked at", path.display())),
        Ok(found) if found.is_dir() => match fs::read_dir(path).map(|mut entries| entries.next().is_none()) {
            Ok(true) => return Ok(()),
            Ok(false) => "is a folder that is not empty",
            Err(error) => return Err(error).with_context(|| format!("{} cannot be read", path.display())),
        },
        Ok(_) => "is there already, and no folder",
    };
    bail!("{} {what}: give a new one", path.display())
}

/// The place from which the new crate takes Pavlov.
enum Source {
    /// A checkout on this machine.
    Path(PathBuf),
    Git {
        url: String,
        revision: Option<String>,
    },
}

impl Source {
    /// The source that the arguments ask for, or else the checkout `built_in`.
    fn of(args: &NewArgs, built_in: &Path) -> Result<Self> {
        if let Some(url) = &args.git {
            return Ok(Self::Git { url: url.clone(), revision: args.rev.clone() });
        }
        let checkout = args.checkout.as_deref().unwrap_or(built_in);
        let otherwise = "give --git URL, or --path with the folder of a checkout of Pavlov";
        if !is_checkout(checkout) {
            match args.checkout {
                Some(_) => bail!("{} is no checkout of Pavlov: {otherwise}", checkout.display()),
                None => {
                    bail!(
                        "the checkout that this program was built in is gone ({}): {otherwise}",
                        built_in.display()
                    )
                }
            }
        }
        if args.checkout.is_none() && checkout.join(".cargo-ok").exists() {
            bail!(
                "this program was built in a checkout that cargo keeps for itself ({CHECKOUT}): {otherwise}"
            );
        }
        let whole =
            checkout.canonicalize().with_context(|| format!("{} cannot be opened", checkout.display()))?;
        if whole.to_str().is_none() {
            bail!("the path {} is not valid UTF-8, as Cargo.toml needs it: {otherwise}", whole.display());
        }
        Ok(Self::Path(whole))
    }

    /// The dependency on the crate in this folder of the checkout, as a value in `Cargo.toml`.
    fn dependency(&self, folder: &str) -> String {
        match self {
            Self::Path(checkout) if folder.is_empty() => inline(&[("path", &checkout.to_string_lossy())]),
            Self::Path(checkout) => inline(&[("path", &checkout.join(folder).to_string_lossy())]),
            Self::Git { url, revision: None } => inline(&[("git", url)]),
            Self::Git { url, revision: Some(revision) } => inline(&[("git", url), ("rev", revision)]),
        }
    }

    /// The libtorch of the checkout, if `make setup` has linked one into it.
    fn libtorch(&self) -> Option<PathBuf> {
        let Self::Path(checkout) = self else { return None };
        let target = fs::read_link(checkout.join(".libtorch")).ok()?;
        (target.is_absolute() && target.join("lib").is_dir()).then_some(target)
    }
}

fn is_checkout(folder: &Path) -> bool {
    let manifest =
        fs::read_to_string(folder.join("Cargo.toml")).ok().and_then(|text| text.parse::<toml::Table>().ok());
    let name = manifest.as_ref().and_then(|table| table.get("package")?.get("name")?.as_str());
    name == Some("pavlov") && folder.join("build-support/Cargo.toml").is_file()
}

/// An inline table of strings.
fn inline(entries: &[(&str, &str)]) -> String {
    let entries = entries.iter().map(|(key, text)| format!("{key} = {}", Value::String((*text).into())));
    format!("{{ {} }}", entries.collect::<Vec<_>>().join(", "))
}

/// The text of one of the [`FILES`] in a crate of this name.
fn filled(place: &str, text: &str, name: &str, source: &Source) -> String {
    if place == "Cargo.lock" || place.starts_with("scripts/") {
        return text.to_string();
    }
    let mut text = text.replace(NAME, name).replace(&NAME.replace('-', "_"), &name.replace('-', "_"));
    if place == "Cargo.toml" {
        for (line, folder) in DEPENDENCIES {
            let key = line.split(' ').next().unwrap_or_default();
            text = text.replace(line, &format!("{key} = {}", source.dependency(folder)));
        }
    }
    text
}

/// Writes the crate into a folder that does not exist yet. Returns true if libtorch is linked into it.
fn write(folder: &Path, name: &str, source: &Source) -> io::Result<bool> {
    fs::create_dir(folder)?;
    for (place, text, program) in FILES {
        let path = folder.join(place);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::write(&path, filled(place, text, name, source))?;
        #[cfg(unix)]
        if *program {
            use std::os::unix::fs::PermissionsExt;
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
        }
    }
    #[cfg(unix)]
    if let Some(libtorch) = source.libtorch() {
        std::os::unix::fs::symlink(libtorch, folder.join(".libtorch"))?;
        return Ok(true);
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_whose_checkout_is_gone_asks_for_another_place() {
        let folder = tempfile::tempdir().unwrap();
        let args = |git: Option<&str>| NewArgs {
            path: "shop".into(),
            git: git.map(Into::into),
            rev: None,
            checkout: None,
        };
        let refuse = |words: &str| {
            let message = Source::of(&args(None), folder.path()).err().unwrap().to_string();
            assert!(message.contains(words) && message.contains("--git URL"), "{message}");
        };
        refuse("is gone");
        fs::write(folder.path().join("Cargo.toml"), "[package]\nname = \"pavlov\"").unwrap();
        refuse("is gone");
        fs::create_dir(folder.path().join("build-support")).unwrap();
        fs::write(folder.path().join("build-support/Cargo.toml"), "").unwrap();
        assert!(matches!(Source::of(&args(None), folder.path()), Ok(Source::Path(_))));
        // cargo marks the checkouts of repositories that crates depend on, and removes them when it likes.
        fs::write(folder.path().join(".cargo-ok"), "").unwrap();
        refuse("cargo keeps for itself");
        assert!(matches!(Source::of(&args(Some("url")), folder.path()), Ok(Source::Git { .. })));
    }
}
