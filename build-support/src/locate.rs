//! Where libtorch is, and how to link it.

use std::error::Error;
use std::ffi::OsString;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

/// The version that torch-sys wants, by exact equality.
const VERSION: &str = "2.11.0";

/// The library that every libtorch has, as each system calls it.
const CPU_LIBRARY: [&str; 3] = ["libtorch_cpu.so", "libtorch_cpu.dylib", "torch_cpu.lib"];

/// A libtorch whose folders have been found on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Libtorch {
    /// The library folder as it was named, links and all: what changes when a link is turned to another
    /// libtorch.
    named_lib: PathBuf,
    /// The library folder with every link resolved: a binary that names it survives the checkout being moved
    /// or cleaned.
    lib: PathBuf,
    /// The folder that holds `include`.
    root: PathBuf,
}

impl Libtorch {
    /// Finds libtorch the way torch-sys does, from environment variables that `variable` looks up.
    ///
    /// In this order: `DEP_TCH_LIBTORCH_LIB` (what torch-sys itself took; cargo sets it for the packages that
    /// depend on torch-sys directly), `LIBTORCH_LIB` and `LIBTORCH_INCLUDE`, `LIBTORCH`.
    ///
    /// # Errors
    /// Where no variable is set, or where one names a folder without libtorch's libraries or headers, or a
    /// libtorch of another version.
    pub fn locate(variable: impl Fn(&str) -> Option<OsString>) -> Result<Self, LocateError> {
        let folder = |name: &str| variable(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let named_lib = folder("DEP_TCH_LIBTORCH_LIB")
            .or_else(|| Some(folder("LIBTORCH_LIB").or_else(|| folder("LIBTORCH"))?.join("lib")))
            .ok_or(LocateError::NotSet)?;
        if !CPU_LIBRARY.iter().any(|name| named_lib.join(name).is_file()) {
            return Err(LocateError::NoLibraries(named_lib));
        }
        let lib = named_lib.canonicalize().map_err(|_| LocateError::NoLibraries(named_lib.clone()))?;
        let root = folder("LIBTORCH_INCLUDE").unwrap_or_else(|| lib.join(".."));
        let headers = root.join("include/torch");
        if !headers.is_dir() {
            return Err(LocateError::NoHeaders(headers));
        }
        // As torch-sys checks it, which may speak later.
        if variable("LIBTORCH_BYPASS_VERSION_CHECK").is_none()
            && let Ok(text) = fs::read_to_string(named_lib.join("../build-version"))
            && text.trim().split('+').next() != Some(VERSION)
        {
            let version = text.trim().to_string();
            return Err(LocateError::OtherVersion { lib: named_lib, version });
        }
        Ok(Self { named_lib, lib, root })
    }

    /// The folder of `libtorch_cpu.so`, with every link resolved.
    #[must_use]
    pub fn lib_dir(&self) -> &Path {
        &self.lib
    }

    /// The folders in which a C++ compiler finds libtorch's headers, and CUDA's where they came along.
    #[must_use]
    pub fn include_dirs(&self) -> Vec<PathBuf> {
        let mut dirs = vec![self.root.join("include"), self.root.join("include/torch/csrc/api/include")];
        let cuda = self.lib.join("../../nvidia/cu13/include");
        if self.has_cuda() && cuda.is_dir() {
            dirs.push(cuda);
        }
        dirs
    }

    /// True if this libtorch can compute on a GPU.
    #[must_use]
    pub fn has_cuda(&self) -> bool {
        self.cuda_library().is_file()
    }

    fn cuda_library(&self) -> PathBuf {
        self.lib.join("libtorch_cuda.so")
    }

    /// The arguments for the linker: the path under which a binary looks for libtorch, and CUDA where it is
    /// there.
    pub(crate) fn link_arguments(&self, target_os: &str) -> Vec<String> {
        let mut arguments = Vec::new();
        if target_os != "windows" {
            arguments.push(format!("-Wl,-rpath,{}", self.lib.display()));
        }
        if target_os == "linux" && self.has_cuda() {
            // No symbol of it is named anywhere: it registers its kernels when it is loaded. Without
            // `--no-as-needed` the linker drops it, and the binary says that there is no GPU.
            let cuda = self.cuda_library();
            arguments.push(format!("-Wl,--push-state,--no-as-needed,{},--pop-state", cuda.display()));
        }
        arguments
    }

    /// The files whose change means that the linker's arguments may have to change: `make setup` touches
    /// `build-version` when it turns the checkout's link to another libtorch.
    pub(crate) fn watched(&self) -> Vec<PathBuf> {
        let candidates = [self.named_lib.join("libtorch_cpu.so"), self.named_lib.join("../build-version")];
        // A path that is not there would make cargo run the build script every time.
        candidates.into_iter().filter(|path| path.exists()).collect()
    }
}

/// Why libtorch was not found, and what to do about it. One line each, since cargo shows one line.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum LocateError {
    /// No environment variable says where libtorch is.
    NotSet,
    /// This folder has no libtorch in it.
    NoLibraries(PathBuf),
    /// This folder of headers is missing.
    NoHeaders(PathBuf),
    /// This folder is that of a libtorch of another version.
    OtherVersion {
        /// The folder of the libraries.
        lib: PathBuf,
        /// The version, as its `build-version` says it.
        version: String,
    },
}

impl fmt::Display for LocateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotSet => write!(
                f,
                "LIBTORCH is not set: run `make setup` in Pavlov's checkout and set LIBTORCH to the absolute path of its \
                 .libtorch, or to a libtorch {VERSION} of your own; in a project of your own, in [env] of \
                 .cargo/config.toml (`pavlov new` writes one)"
            ),
            Self::NoLibraries(lib) => write!(
                f,
                "there is no libtorch in {}: run `make setup`, which brings it, in Pavlov's checkout or in a project that \
                 `pavlov new` has written, or set LIBTORCH to the absolute path of a libtorch {VERSION}",
                lib.display()
            ),
            Self::NoHeaders(headers) => write!(
                f,
                "libtorch's headers are missing, there is no folder {}: run `make setup`, or set LIBTORCH \
                 to a libtorch {VERSION} that has its `include` folder",
                headers.display()
            ),
            Self::OtherVersion { lib, version } => write!(
                f,
                "the libtorch in {} is version {version}, and Pavlov needs {VERSION}: set LIBTORCH to one of that version, \
                 or unset it and run `make setup`",
                lib.display()
            ),
        }
    }
}

impl Error for LocateError {}

#[cfg(test)]
mod tests {
    use super::*;
    use tempfile::TempDir;

    type TestResult = Result<(), Box<dyn Error>>;

    /// A folder that looks like libtorch, with these libraries (empty files).
    fn libtorch(libraries: &[&str]) -> Result<TempDir, Box<dyn Error>> {
        let dir = tempfile::tempdir()?;
        fs::create_dir_all(dir.path().join("lib"))?;
        fs::create_dir_all(dir.path().join("include/torch"))?;
        for library in libraries {
            fs::write(dir.path().join("lib").join(library), "")?;
        }
        Ok(dir)
    }

    fn locate(variables: &[(&str, &Path)]) -> Result<Libtorch, LocateError> {
        Libtorch::locate(|name| {
            variables.iter().find(|(key, _)| *key == name).map(|(_, value)| value.as_os_str().to_owned())
        })
    }

    #[test]
    fn without_a_variable_the_message_names_make_setup() {
        let error = locate(&[]).expect_err("nothing is set");
        assert_eq!(error, LocateError::NotSet);
        assert!(error.to_string().contains("make setup"));
    }

    #[test]
    fn an_empty_variable_counts_as_not_set() {
        assert_eq!(locate(&[("LIBTORCH", Path::new(""))]), Err(LocateError::NotSet));
    }

    #[test]
    fn a_folder_without_libraries_is_named_in_a_message_of_one_line() -> TestResult {
        let dir = libtorch(&[])?;
        let error = locate(&[("LIBTORCH", dir.path())]).expect_err("there is no library");
        assert_eq!(error, LocateError::NoLibraries(dir.path().join("lib")));
        let message = error.to_string();
        assert!(message.contains("make setup") && !message.contains('\n'), "{message}");
        Ok(())
    }

    #[test]
    fn a_folder_without_headers_is_refused() -> TestResult {
        let dir = libtorch(&["libtorch_cpu.so"])?;
        fs::remove_dir_all(dir.path().join("include"))?;
        assert!(matches!(locate(&[("LIBTORCH", dir.path())]), Err(LocateError::NoHeaders(_))));
        Ok(())
    }

    #[test]
    fn another_version_is_refused_unless_it_is_asked_for() -> TestResult {
        let dir = libtorch(&["libtorch_cpu.so"])?;
        for fitting in ["2.11.0\n", "2.11.0+cu130"] {
            fs::write(dir.path().join("build-version"), fitting)?;
            locate(&[("LIBTORCH", dir.path())])?;
        }
        fs::write(dir.path().join("build-version"), "2.5.1+cpu\n")?;
        let error = locate(&[("LIBTORCH", dir.path())]).expect_err("another version");
        let message = error.to_string();
        assert!(message.contains("version 2.5.1+cpu,") && message.contains("needs 2.11.0"), "{message}");
        locate(&[("LIBTORCH", dir.path()), ("LIBTORCH_BYPASS_VERSION_CHECK", Path::new("1"))])?;
        Ok(())
    }

    #[test]
    #[cfg(unix)]
    fn binaries_look_for_libtorch_where_it_really_is() -> TestResult {
        let dir = libtorch(&["libtorch_cpu.so"])?;
        let checkout = tempfile::tempdir()?;
        let link = checkout.path().join(".libtorch");
        std::os::unix::fs::symlink(dir.path(), &link)?;
        let found = locate(&[("LIBTORCH", &link)])?;
        let real = dir.path().canonicalize()?.join("lib");
        assert_eq!(found.lib_dir(), real);
        assert_eq!(found.link_arguments("linux"), [format!("-Wl,-rpath,{}", real.display())]);
        assert_eq!(found.watched(), [link.join("lib/libtorch_cpu.so")]);
        Ok(())
    }

    #[test]
    fn cuda_is_linked_where_it_is_there_and_only_on_linux() -> TestResult {
        let dir = libtorch(&["libtorch_cpu.so", "libtorch_cuda.so"])?;
        let found = locate(&[("LIBTORCH", dir.path())])?;
        assert!(found.has_cuda());
        let arguments = found.link_arguments("linux");
        assert_eq!(arguments.len(), 2);
        assert!(
            arguments[1].contains("--no-as-needed") && arguments[1].contains("libtorch_cuda.so"),
            "{arguments:?}"
        );
        assert_eq!(found.link_arguments("macos").len(), 1);
        Ok(())
    }

    #[test]
    fn what_torch_sys_took_wins_over_libtorch() -> TestResult {
        let taken = libtorch(&["libtorch_cpu.so"])?;
        let other = libtorch(&["libtorch_cpu.so"])?;
        let lib = taken.path().join("lib");
        let found = locate(&[("DEP_TCH_LIBTORCH_LIB", &lib), ("LIBTORCH", other.path())])?;
        assert_eq!(found.lib_dir(), lib.canonicalize()?);
        Ok(())
    }

    #[test]
    fn libraries_and_headers_may_lie_apart() -> TestResult {
        let libraries = libtorch(&["libtorch_cpu.so"])?;
        fs::remove_dir_all(libraries.path().join("include"))?;
        let headers = libtorch(&[])?;
        let found = locate(&[("LIBTORCH_LIB", libraries.path()), ("LIBTORCH_INCLUDE", headers.path())])?;
        assert_eq!(found.include_dirs()[0], headers.path().join("include"));
        Ok(())
    }
}
