//! Kernels compiled for the emulator. What is compiled stays until a source, a flag or the compiler changes.

use std::ffi::OsString;
use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// How the emulator looks at kernels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Variant {
    /// At what they compute.
    Plain,
    /// The same with the system's switch of contexts, as on processors other than x86-64.
    Portable,
    /// At every access outside memory, and at undefined behaviour.
    Address,
    /// At accesses that no barrier puts in order.
    Thread,
}

impl Variant {
    /// The one that the environment asks for.
    pub(crate) fn wanted() -> Self {
        match std::env::var("DFP_EMULATOR").as_deref() {
            Err(_) => Self::Plain,
            Ok("portable") => Self::Portable,
            Ok("address") => Self::Address,
            Ok("thread") => Self::Thread,
            Ok(other) => panic!("DFP_EMULATOR is portable, address or thread, not {other}"),
        }
    }

    /// Flags for kernels, for the emulator itself, and for the linker.
    fn flags(self) -> (&'static [&'static str], &'static [&'static str], &'static [&'static str]) {
        match self {
            Self::Plain => (&[], &[], &[]),
            Self::Portable => (&[], &["-DPORTABLE"], &[]),
            Self::Address => (
                &[
                    "-g1",
                    "-fsanitize=address,undefined",
                    "-fno-sanitize-recover=all",
                    "-fno-omit-frame-pointer",
                ],
                &["-DSANITIZE_ADDRESS"],
                &["-fsanitize=address,undefined"],
            ),
            Self::Thread => (
                &["-g1", "-fsanitize=thread", "-fno-omit-frame-pointer"],
                &["-DSANITIZE_THREAD"],
                &["-fsanitize=thread"],
            ),
        }
    }
}

/// A device to be started.
#[derive(Debug, Clone)]
pub(crate) struct Program {
    command: Vec<OsString>,
}

impl Program {
    /// Compiles kernels, a file of this crate; nothing where there is no C++ compiler, unless `DFP_REQUIRE_CPP` is set, as on CI.
    pub(crate) fn new(source: &str, variant: Variant) -> Option<Self> {
        let compiler = Compiler::find()?;
        let home = Path::new(env!("CARGO_MANIFEST_DIR"));
        let (kernels, emulator, link) = variant.flags();
        let objects = [
            compiler.object(&home.join(source), kernels),
            compiler.object(&home.join("emulator/emulator.cpp"), emulator),
        ];
        let path = compiler.make("program", &objects, link);
        let mut command = vec![path.into_os_string()];
        // ThreadSanitizer knows where memory must be, and some kernels put it elsewhere at random.
        if variant == Variant::Thread && runs(Command::new("setarch").args(["-R", "true"])) {
            command.splice(0..0, ["setarch".into(), "-R".into()]);
        }
        let program = Self { command };
        let starts = runs(&mut program.command("0", "0", "1"));
        assert!(starts || variant == Variant::Thread, "{:?} does not start", program.command);
        if !starts {
            println!("ThreadSanitizer does not run here: no races are looked for");
        }
        starts.then_some(program)
    }

    /// The program with its arguments.
    pub(crate) fn command(&self, order: &str, seed: &str, seconds: &str) -> Command {
        let mut command = Command::new(&self.command[0]);
        command.args(&self.command[1..]).args([order, seed, seconds]);
        command.env("ASAN_OPTIONS", "detect_leaks=0").env("UBSAN_OPTIONS", "print_stacktrace=1");
        command.env("TSAN_OPTIONS", "halt_on_error=1:history_size=4");
        command
    }
}

/// Whether a program runs, with nothing to read.
fn runs(command: &mut Command) -> bool {
    command.stdin(Stdio::null()).output().is_ok_and(|output| output.status.success())
}

struct Compiler {
    name: OsString,
    version: Vec<u8>,
}

impl Compiler {
    fn find() -> Option<Self> {
        let name = std::env::var_os("CXX").unwrap_or_else(|| "c++".into());
        match Command::new(&name).arg("--version").output() {
            Ok(output) if output.status.success() => Some(Self { name, version: output.stdout }),
            _ => {
                assert!(std::env::var_os("DFP_REQUIRE_CPP").is_none(), "{} is not installed", name.display());
                println!("{} is not installed: no kernel is tested here", name.display());
                None
            }
        }
    }

    fn object(&self, source: &Path, flags: &[&str]) -> PathBuf {
        let mut all = vec!["-std=c++17", "-O2", "-ffp-contract=off", "-Wall", "-Wno-unknown-pragmas"];
        #[cfg(target_arch = "x86_64")]
        if std::arch::is_x86_feature_detected!("avx2") && std::arch::is_x86_feature_detected!("fma") {
            all.extend(["-mavx2", "-mfma"]);
        }
        all.extend(flags);
        all.extend(["-c", "-x", "c++"]);
        self.make("object", &[source.to_owned()], &all)
    }

    /// Runs the compiler, unless it has made this of the same things before.
    fn make(&self, kind: &str, inputs: &[PathBuf], flags: &[&str]) -> PathBuf {
        let mut hash = DefaultHasher::new();
        (&self.name, &self.version, flags, inputs).hash(&mut hash);
        let headers = headers();
        for file in inputs.iter().chain(&headers) {
            fs::read(file).unwrap_or_else(|error| panic!("{}: {error}", file.display())).hash(&mut hash);
        }
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("emulator");
        fs::create_dir_all(&folder).unwrap();
        let made = folder.join(format!("{:016x}.{kind}", hash.finish()));
        // One test compiles, others wait.
        let lock = File::create(made.with_extension("lock")).unwrap();
        lock.lock().unwrap();
        if !made.exists() {
            let unfinished = made.with_extension("unfinished");
            let output = Command::new(&self.name)
                .args(flags)
                .args(inputs)
                .arg("-o")
                .arg(&unfinished)
                .output()
                .expect("it was just there");
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{inputs:?}:\n{said}");
            print!("{said}");
            fs::rename(&unfinished, &made).unwrap();
        }
        made
    }
}

/// Whatever a kernel may include.
fn headers() -> Vec<PathBuf> {
    let home = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut all: Vec<PathBuf> = ["kernels", "emulator"]
        .iter()
        .flat_map(|folder| fs::read_dir(home.join(folder)).unwrap())
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|end| end == "cuh" || end == "h"))
        .collect();
    all.sort();
    all
}
