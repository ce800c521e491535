use std::io::{self, Write};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, test_kill_process};

use super::output::wait_until;
use super::*;

/// The output of a launch.
#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Written {
    fn bytes(&self) -> Vec<u8> {
        self.0.lock().unwrap().clone()
    }

    fn text(&self) -> String {
        String::from_utf8(self.bytes()).unwrap()
    }

    fn lines(&self) -> Vec<String> {
        let mut lines: Vec<String> = self.text().lines().map(String::from).collect();
        lines.sort();
        lines
    }

    /// Waits until so many lines hold this.
    fn wait_for(&self, part: &str, lines: usize) {
        let there = || String::from_utf8_lossy(&self.bytes()).matches(part).count() >= lines;
        assert!(wait_until(Duration::from_secs(20), there), "{part:?} is missing in: {}", self.text());
    }
}

/// A launch of a shell script in two processes.
struct Case {
    launch: Launch,
    signals: SignalInbox,
    stdout: Written,
    stderr: Written,
}

impl Case {
    fn new(script: &str) -> Self {
        let mut launch = Launch::new("/bin/sh".into(), 2, 4711);
        launch.arguments = vec!["-c".into(), script.into()];
        launch.run_id = "test".into();
        launch.grace = Duration::from_secs(20);
        launch.patience = Duration::from_secs(20);
        let (stdout, stderr) = (Written::default(), Written::default());
        Self { launch, signals: SignalInbox::new(), stdout, stderr }
    }

    fn with(mut self, change: impl FnOnce(&mut Launch)) -> Self {
        change(&mut self.launch);
        self
    }

    fn run(&self) -> LaunchEnd {
        self.run_to(Box::new(self.stdout.clone())).unwrap()
    }

    fn run_to(&self, stdout: Box<dyn Write + Send>) -> Result<LaunchEnd, GroupError> {
        self.launch.run_into(&self.signals, Sinks { stdout, stderr: Box::new(self.stderr.clone()) })
    }

    /// Runs, while `meanwhile` happens in this thread.
    fn run_while(&self, meanwhile: impl FnOnce()) -> LaunchEnd {
        thread::scope(|scope| {
            let running = scope.spawn(|| self.run());
            meanwhile();
            running.join().unwrap()
        })
    }
}

fn failure(end: &LaunchEnd) -> &str {
    end.failure.as_deref().unwrap_or("")
}

#[test]
fn children_are_told_their_places() {
    let names = [
        "RANK",
        "WORLD_SIZE",
        "LOCAL_RANK",
        "LOCAL_WORLD_SIZE",
        "ROLE_RANK",
        "ROLE_WORLD_SIZE",
        "ROLE_NAME",
        "GROUP_RANK",
        "GROUP_WORLD_SIZE",
        "MASTER_ADDR",
        "MASTER_PORT",
        "TORCHELASTIC_USE_AGENT_STORE",
        "TORCHELASTIC_RESTART_COUNT",
        "TORCHELASTIC_MAX_RESTARTS",
        "TORCHELASTIC_RUN_ID",
        "PAVLOV_LAUNCHER",
        "MORE",
    ];
    let script = names.map(|name| format!("echo {name}=${name};")).concat();
    let case = Case::new(&script).with(|launch| {
        launch.max_restarts = 3;
        launch.environment = vec![("MORE".into(), "some".into())];
    });
    let end = case.run();
    assert_eq!(end, LaunchEnd { code: 0, restarts: 0, interrupted: false, failure: None });
    assert_eq!(case.stderr.text(), "");
    for rank in ["0", "1"] {
        let prefix = format!("[rank {rank}] ");
        let lines = case.stdout.lines();
        let vars: Vec<(&str, &str)> = lines
            .iter()
            .filter_map(|line| line.strip_prefix(prefix.as_str()).and_then(|line| line.split_once('=')))
            .collect();
        assert_eq!(vars.len(), names.len());
        let var = |name: &str| vars.iter().find(|(key, _)| *key == name).map(|(_, value)| value.to_string());
        let values = names.map(|name| var(name).unwrap());
        let pid = std::process::id().to_string();
        let expected = [
            rank,
            "2",
            rank,
            "2",
            rank,
            "2",
            "default",
            "0",
            "1",
            "127.0.0.1",
            "4711",
            "True",
            "0",
            "3",
            "test",
            &pid,
            "some",
        ];
        assert_eq!(values, expected);
        let place = crate::Place::from_vars(&var).unwrap().unwrap();
        assert_eq!((place.rank.to_string(), place.local_world_size), (rank.to_string(), 2));
        assert!(place.uses_agent_store && place.is_one_machine());
    }
}

#[test]
fn streams_stay_apart_and_the_last_line_is_shown() {
    let case = Case::new("echo out; echo err >&2; printf tail");
    assert_eq!(case.run().code, 0);
    let both = |text: &str| ["[rank 0] ", "[rank 1] "].map(|prefix| format!("{prefix}{text}"));
    assert_eq!(case.stdout.lines(), [both("out"), both("tail")].concat().sorted());
    assert_eq!(case.stderr.lines(), both("err"));
}

trait Sorted {
    fn sorted(self) -> Self;
}

impl Sorted for Vec<String> {
    fn sorted(mut self) -> Self {
        self.sort();
        self
    }
}

#[test]
fn output_that_is_no_text_passes() {
    let case = Case::new(r"printf '\377\376\001\n'").with(|launch| launch.processes = 1);
    assert_eq!(case.run().code, 0);
    assert_eq!(case.stdout.bytes(), b"[rank 0] \xff\xfe\x01\n");
}

#[test]
fn lines_of_quick_writers_do_not_mix() {
    let script = "i=0; while [ $i -lt 20000 ]; do \
                  echo \"$RANK line $i of a child that is in a hurry\"; i=$((i+1)); done";
    let case = Case::new(script);
    assert_eq!(case.run().code, 0);
    let mut next = [0; 2];
    for line in case.stdout.text().lines() {
        let rank = usize::from(line.starts_with("[rank 1]"));
        let number = next[rank];
        assert_eq!(line, format!("[rank {rank}] {rank} line {number} of a child that is in a hurry"));
        next[rank] += 1;
    }
    assert_eq!(next, [20_000; 2]);
}

#[test]
fn a_failure_restarts_all() {
    let script = "echo attempt $TORCHELASTIC_RESTART_COUNT; \
                  [ $TORCHELASTIC_RESTART_COUNT = 2 ] && exit 0; [ $RANK = 1 ] && exit 7; exec sleep 60";
    let case = Case::new(script).with(|launch| launch.max_restarts = 3);
    let start = Instant::now();
    let end = case.run();
    assert_eq!((end.code, end.restarts, failure(&end)), (0, 2, ""));
    assert!(start.elapsed() < Duration::from_secs(10));
    assert_eq!(case.stdout.text().matches("[rank 1] attempt 1").count(), 1);
    let told = "[launch] rank 1 has ended with exit code 7; restart 1 of 3\n\
                [launch] rank 1 has ended with exit code 7; restart 2 of 3\n";
    assert_eq!(case.stderr.text(), told);
}

#[test]
fn the_failing_code_is_the_end_of_the_last_attempt() {
    let case = Case::new("[ $RANK = 1 ] && exit 7; exec sleep 60").with(|launch| launch.max_restarts = 1);
    let end = case.run();
    assert_eq!((end.code, end.restarts, end.interrupted), (7, 1, false));
    assert_eq!(
        failure(&end),
        "rank 1 has ended with exit code 7; not started again: \
         all restarts that --max-restarts allows are used up (1)"
    );
}

#[test]
fn a_signal_is_named() {
    let end = Case::new("[ $RANK = 1 ] && kill -KILL $$; exec sleep 60").run();
    assert_eq!(end.code, 137, "{end:?}");
    assert!(
        failure(&end).starts_with("rank 1 was killed by signal 9 (SIGKILL), as when memory runs out"),
        "{end:?}"
    );
}

#[test]
fn the_cause_is_blamed_before_its_victims() {
    let (lost, told, shot) = (End::Code(1), End::Signal(SIGTERM), End::Signal(SIGKILL));
    let blamed = |ends: [End; 3], first: &[usize], killed| {
        let ended = Ended { ends: ends.into(), first: first.into(), killed, ..Ended::default() };
        ended.failure().unwrap().0
    };
    assert_eq!(blamed([lost, shot, told], &[0, 1], false), 137);
    assert_eq!(blamed([lost, shot, told], &[0], false), 137, "rank 0 was seen first");
    assert_eq!(blamed([shot, lost, told], &[1], true), 1, "the launcher has killed rank 0");
    assert_eq!(blamed([lost, shot, End::Code(78)], &[0], false), 78);
    assert_eq!(blamed([told, told, End::Code(7)], &[2], false), 7);
}

#[test]
fn what_would_fail_again_is_not_restarted() {
    for code in [2, 78] {
        let case = Case::new(&format!("echo here; [ $RANK = 0 ] && exit {code}; exec sleep 60"))
            .with(|launch| launch.max_restarts = 5);
        let end = case.run();
        assert_eq!((i32::from(end.code), end.restarts), (code, 0));
        assert!(failure(&end).contains("would not help"), "{end:?}");
    }
    // Rank 0 hears of the failure, and is quicker to end.
    let script = "[ $RANK = 0 ] && { while [ ! -e $MARK ]; do sleep 0.02; done; exit 1; }; \
                  trap 'exit 78' TERM; : > $MARK; while :; do sleep 0.02; done";
    let mark = std::env::temp_dir().join(format!("pavlov-launch-{}", std::process::id()));
    let case = Case::new(script).with(|launch| {
        launch.max_restarts = 5;
        launch.environment = vec![("MARK".into(), mark.clone().into())];
    });
    let end = case.run();
    let _ = std::fs::remove_file(&mark);
    assert_eq!((end.code, end.restarts), (78, 0), "{end:?}");
}

#[test]
fn a_child_that_ignores_sigterm_is_killed_after_the_grace() {
    let case = Case::new(
        "[ $RANK = 1 ] && { sleep 0.3; exit 5; }; trap '' TERM; echo ready; while :; do sleep 1; done",
    )
    .with(|launch| launch.grace = Duration::from_millis(300));
    let start = Instant::now();
    let end = case.run();
    assert_eq!(end.code, 5);
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
}

#[test]
fn a_request_to_stop_is_handed_on_once() {
    let script = "trap 'echo asked; n=$((n+1))' TERM; n=0; echo ready; while [ $n = 0 ]; do sleep 0.02; \
                  done; sleep 0.8; echo asked $n times";
    let case = Case::new(script).with(|launch| launch.max_restarts = 3);
    let end = case.run_while(|| {
        case.stdout.wait_for("ready", 2);
        // A signal that comes to the process and to its group counts once.
        assert_eq!((case.signals.notify(), case.signals.notify()), (1, 1));
    });
    assert_eq!(end, LaunchEnd { code: 0, restarts: 0, interrupted: true, failure: None });
    assert_eq!(case.stdout.text().matches("asked 1 times").count(), 2, "{}", case.stdout.text());
}

#[test]
fn an_interrupted_child_is_not_restarted() {
    let script = "trap 'exit 130' TERM; echo ready; while :; do sleep 0.02; done";
    let case = Case::new(script).with(|launch| launch.max_restarts = 3);
    let end = case.run_while(|| {
        case.stdout.wait_for("ready", 2);
        case.signals.notify();
    });
    assert_eq!(end, LaunchEnd { code: 130, restarts: 0, interrupted: true, failure: None });
}

#[test]
fn a_checkpoint_may_take_longer_than_the_grace() {
    let script = "trap 'sleep $RANK; echo checkpoint; exit 130' TERM; echo ready; \
                  while :; do sleep 0.02; done";
    let case = Case::new(script).with(|launch| launch.grace = Duration::from_millis(100));
    let end = case.run_while(|| {
        case.stdout.wait_for("ready", 2);
        case.signals.notify();
    });
    assert_eq!((end.code, failure(&end)), (130, ""));
    assert_eq!(case.stdout.text().matches("checkpoint").count(), 2);
}

#[test]
fn a_failure_on_request_is_not_restarted() {
    let script = "trap 'exit $((RANK * 9))' TERM; echo ready; while :; do sleep 0.02; done";
    let case = Case::new(script).with(|launch| launch.max_restarts = 3);
    let end = case.run_while(|| {
        case.stdout.wait_for("ready", 2);
        case.signals.notify();
    });
    assert_eq!((end.code, end.restarts, end.interrupted), (9, 0, true));
    assert!(failure(&end).contains("asked to stop"), "{end:?}");
}

#[test]
fn a_second_request_kills() {
    let case = Case::new("trap 'echo asked' TERM; echo ready; while :; do sleep 0.02; done");
    let end = case.run_while(|| {
        case.stdout.wait_for("ready", 2);
        case.signals.notify();
        case.stdout.wait_for("asked", 2);
        thread::sleep(Duration::from_millis(600));
        assert_eq!(case.signals.notify(), 2);
    });
    assert_eq!((end.code, end.interrupted), (130, true), "{end:?}");
}

#[test]
fn an_interrupted_child_has_its_time() {
    let case = Case::new("trap '' TERM; echo ready; while :; do sleep 1; done")
        .with(|launch| launch.patience = Duration::from_millis(300));
    let end = case.run_while(|| {
        case.stdout.wait_for("ready", 2);
        case.signals.notify();
    });
    assert_eq!((end.code, end.interrupted), (137, true), "{end:?}");
}

#[test]
fn those_that_do_not_end_after_rank_0_are_stopped() {
    let case = Case::new("[ $RANK = 0 ] && exit 0; exec sleep 60").with(|launch| {
        launch.patience = Duration::from_millis(300);
        launch.max_restarts = 3;
    });
    let end = case.run();
    assert_eq!((end.code, end.restarts), (1, 0));
    assert!(failure(&end).contains("rank 1 had not ended long after rank 0"), "{end:?}");
}

#[test]
fn what_a_child_leaves_behind_is_killed() {
    let case = Case::new("sleep 60 & echo $!").with(|launch| launch.processes = 1);
    let start = Instant::now();
    assert_eq!(case.run().code, 0);
    assert!(start.elapsed() < Duration::from_secs(10), "its output is still open");
    let id = case.stdout.text().trim().trim_start_matches("[rank 0] ").parse().unwrap();
    let id = Pid::from_raw(id).unwrap();
    // A process that is killed stays as a zombie until its new parent takes note of it.
    let gone = || test_kill_process(id).is_err() || state(id).is_none_or(|state| state == 'Z');
    assert!(wait_until(Duration::from_secs(5), gone));
}

/// The letter of a process's state, from /proc.
fn state(id: Pid) -> Option<char> {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    stat.rsplit(") ").next()?.chars().next()
}

/// Takes nothing until it is told to.
struct Blocked(Arc<(Mutex<bool>, std::sync::Condvar)>);

impl Write for Blocked {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let open = self.0.0.lock().unwrap();
        drop(self.0.1.wait_while(open, |open| !*open).unwrap());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_terminal_that_takes_nothing_holds_up_no_end() {
    let case = Case::new("exec cat /dev/zero");
    let gate = Arc::new((Mutex::new(false), std::sync::Condvar::new()));
    let end = thread::scope(|scope| {
        let sink = Blocked(gate.clone());
        let running = scope.spawn(|| case.run_to(Box::new(sink)).unwrap());
        thread::sleep(Duration::from_millis(300));
        case.signals.notify();
        thread::sleep(Duration::from_millis(600));
        // The children are gone, and only the terminal is waited for.
        case.signals.notify();
        running.join().unwrap()
    });
    *gate.0.lock().unwrap() = true;
    gate.1.notify_all();
    assert_eq!((end.code, end.interrupted), (130, true), "{end:?}");
}

/// A pipe whose reader has gone.
struct Closed;

impl Write for Closed {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::ErrorKind::BrokenPipe.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_closed_output_does_not_end_a_training() {
    let case = Case::new("head -c 5000000 /dev/zero; echo done >&2");
    assert_eq!(case.run_to(Box::new(Closed)).unwrap().code, 0);
    assert_eq!(case.stderr.lines(), ["[rank 0] done", "[rank 1] done"]);
}

#[test]
fn what_cannot_be_launched_is_said() {
    let said = |change: fn(&mut Launch)| {
        let case = Case::new("exit 0").with(change);
        case.run_to(Box::new(io::sink())).unwrap_err().to_string()
    };
    let missing = said(|launch| launch.program = "/no/such/program".into());
    assert!(missing.contains("rank 0 cannot be started: /no/such/program"), "{missing}");
    assert!(said(|launch| launch.processes = 0).contains("--processes"));
    assert!(said(|launch| launch.master_port = 0).contains("no port"));
}

#[test]
fn a_process_without_a_launcher_watches_none() {
    assert!(!end_with_parent(|| panic!("there is no launcher")).unwrap());
}

/// The file that the child of the next test writes.
const NOTICED: &str = "PAVLOV_TEST_NOTICED";

#[test]
fn a_child_notices_that_its_launcher_is_killed() {
    if let Some(file) = std::env::var_os(NOTICED) {
        // The child, which is this test in a process of its own.
        let file = PathBuf::from(file);
        let noticed = file.clone();
        assert!(end_with_parent(move || std::fs::write(noticed, "gone").unwrap()).unwrap());
        std::fs::write(file.with_extension("ready"), "").unwrap();
        assert!(wait_until(Duration::from_secs(20), || file.exists()));
        return;
    }
    let file = std::env::temp_dir().join(format!("pavlov-launcher-{}", std::process::id()));
    let ready = file.with_extension("ready");
    let name = "launch::tests::a_child_notices_that_its_launcher_is_killed";
    let mut launcher = std::process::Command::new("/bin/sh")
        .args(["-c", "PAVLOV_LAUNCHER=$$ \"$0\" --exact \"$1\" & wait"])
        .arg(std::env::current_exe().unwrap())
        .arg(name)
        .env(NOTICED, &file)
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    assert!(wait_until(Duration::from_secs(20), || ready.exists()), "the child does not begin");
    thread::sleep(Duration::from_millis(600));
    assert!(!file.exists(), "the launcher is there");
    launcher.kill().unwrap();
    launcher.wait().unwrap();
    assert!(wait_until(Duration::from_secs(5), || file.exists()), "the child did not notice");
    let _ = (std::fs::remove_file(&file), std::fs::remove_file(&ready));
}
