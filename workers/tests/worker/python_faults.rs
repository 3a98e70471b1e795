//! Each thing that can go wrong with a Python program, by the real DSPy.

use std::time::Duration;

use queue::{FailureKind, Mode, State};
use serde_json::json;
use testkit::Reply;

use super::{
    module::{HEAD, error, failure, outputs, program, site, submit, timed},
    site::Site,
};

#[tokio::test]
async fn a_program_that_does_not_import_says_what_is_missing() {
    let site = program("import nothing_of_this_name\n", "");
    let worker = site.start();

    let said = error(&site).await;

    assert!(said.contains("No module named 'nothing_of_this_name'"), "{said}");
    assert!(said.contains("-m pip install nothing_of_this_name"), "{said}");
    worker.end().await;
}

#[tokio::test]
async fn a_package_that_is_missing_is_named() {
    let site = program("class P(dspy.Module):\n    pass\n", "dependencies: [no-such-package>=2]\n");
    let worker = site.start();

    let said = error(&site).await;

    assert!(said.contains("the package `no-such-package` is missing"), "{said}");
    worker.end().await;
}

#[tokio::test]
async fn a_program_that_raises_while_it_is_loaded_says_so() {
    let text =
        "class P(dspy.Module):\n    def __init__(self):\n        raise ValueError('no way')\n";
    let site = program(text, "");
    let worker = site.start();

    let said = error(&site).await;

    assert_eq!(said, "the program cannot be loaded: ValueError: no way");
    worker.end().await;
}

#[tokio::test]
async fn an_interpreter_without_dspy_is_said_to_be_one() {
    let site = site("pass");
    let bare = site.folder.path().join("bare");
    let made = std::process::Command::new(testkit::python())
        .args(["-m", "venv", "--without-pip"])
        .arg(&bare)
        .status()
        .unwrap();
    assert!(made.success());
    site.write_python("p", HEAD, &format!("python: {}\n", bare.display()));
    let worker = site.start();

    let said = error(&site).await;

    assert!(said.contains("has no package `dspy`"), "{said}");
    worker.end().await;
}

#[tokio::test]
async fn a_dspy_that_is_too_old_is_said_to_be() {
    let mut site = site("pass");
    let old = site.folder.path().join("old");
    std::fs::create_dir_all(old.join("dspy")).unwrap();
    std::fs::write(old.join("dspy/__init__.py"), "__version__ = '3.0.4'\n").unwrap();
    site.python.environment.push(("PYTHONPATH".to_owned(), old.display().to_string()));
    let worker = site.start();

    let said = error(&site).await;

    assert!(said.contains("DSPy 3.0.4 is too old: 3.4 or newer is needed"), "{said}");
    worker.end().await;
}

#[tokio::test]
async fn what_a_program_raises_is_its_error_with_a_traceback_in_debug_mode() {
    let site = site("raise KeyError('lost')");
    let worker = site.start();

    assert_eq!(error(&site).await, "KeyError: 'lost'");
    let id =
        site.submit(|it| (it.spec.program, it.spec.mode) = ("p".to_owned(), Mode::Debug)).await;
    let report = site.until(id, State::Failed).await.report.unwrap();

    let traceback = report.extra["traceback"].as_str().unwrap();
    assert!(
        traceback.contains("in forward") && traceback.contains("raise KeyError"),
        "{traceback}"
    );
    worker.end().await;
}

#[tokio::test]
async fn what_json_cannot_hold_is_named() {
    let site = site("return dspy.Prediction(fine=1, odd=[object()])");
    let worker = site.start();

    let said = error(&site).await;

    assert_eq!(said, "output `odd[0]` is of type object, which JSON cannot hold");
    worker.end().await;
}

#[tokio::test]
async fn inputs_that_a_program_does_not_take_are_the_callers_fault() {
    let site = program("class P(dspy.Module):\n    def forward(self, a: int):\n        pass\n", "");
    let worker = site.start();

    let id = submit(&site, json!({"b": 1})).await;

    let execution = site.until(id, State::Failed).await;
    let (kind, said) = failure(&execution);
    assert_eq!(kind, FailureKind::Validation);
    assert!(said.starts_with("Missing required input fields: ['a']"), "{said}");
    worker.end().await;
}

#[tokio::test]
async fn a_loop_without_end_is_stopped_and_its_process_goes_on() {
    let site =
        site("if question == 'loop':\n    while True:\n        pass\nreturn {'pid': os.getpid()}");
    let worker = site.start();
    let before = outputs(&site, json!({})).await;

    let id = timed(&site, "loop").await;
    assert_eq!(failure(&site.until(id, State::Failed).await).0, FailureKind::Timeout);

    assert_eq!(outputs(&site, json!({})).await, before);
    worker.end().await;
}

#[tokio::test]
async fn what_cannot_be_stopped_is_killed_and_its_neighbours_run_again() {
    let site = site(
        "if question == 'hang':\n    ctypes.PyDLL(None).sleep(600)\n\
         return {'a': self.ask(question=question).answer}",
    );
    let worker = site.start();
    outputs(&site, json!({})).await;
    site.lm.then(Reply::Nothing);

    let neighbour = submit(&site, json!({"question": "?"})).await;
    site.until_called(2).await;
    let id = timed(&site, "hang").await;

    assert_eq!(failure(&site.until(id, State::Failed).await).0, FailureKind::Timeout);
    let execution = site.until(neighbour, State::Succeeded).await;
    assert_eq!(execution.attempts.len(), 1, "it was not to blame");
    worker.end().await;
}

#[tokio::test]
async fn a_process_that_exits_fails_only_what_ran_there() {
    let site = site("if question == 'exit':\n    os._exit(3)\nreturn {'pid': os.getpid()}");
    let worker = site.start();
    outputs(&site, json!({})).await;

    let id = submit(&site, json!({"question": "exit"})).await;

    let execution = site.until(id, State::Failed).await;
    let (kind, said) = failure(&execution);
    assert_eq!(kind, FailureKind::ProgramError);
    assert!(said.starts_with("the program's process ended: it ended with exit code 3"), "{said}");
    outputs(&site, json!({})).await;
    worker.end().await;
}

#[tokio::test]
async fn a_crash_quotes_the_last_words() {
    let site = site("print('here it comes', file=sys.__stderr__, flush=True)\nctypes.string_at(0)");
    let worker = site.start();

    let said = error(&site).await;

    assert!(said.contains("signal 11"), "{said}");
    assert!(said.contains("here it comes"), "{said}");
    worker.end().await;
}

#[tokio::test]
async fn a_program_that_wants_too_much_memory_fails_alone() {
    let site = site("if question == 'much':\n    return {'a': len(bytearray(4 << 30))}\nreturn {}");
    fails_alone(&site, "needs more memory than it may have").await;
}

#[tokio::test]
async fn a_program_that_wants_too_much_cpu_fails_alone() {
    let mut site = site("while question == 'much':\n    pass\nreturn {}");
    site.python.cpu_max = Some(Duration::from_secs(3));
    fails_alone(&site, "has used the CPU time that it may have").await;
}

/// Asks for `much` between two executions that are to succeed.
async fn fails_alone(site: &Site, why: &str) {
    let worker = site.start();
    outputs(site, json!({})).await;

    let id = submit(site, json!({"question": "much"})).await;

    let execution = site.until(id, State::Failed).await;
    let (_, said) = failure(&execution);
    assert!(said.contains(why), "{said}");
    outputs(site, json!({})).await;
    worker.end().await;
}

#[tokio::test]
async fn what_a_program_starts_ends_with_its_process() {
    let site = site(
        "child = subprocess.Popen(['sleep', '1000'])\n\
         forked = os.fork()\n\
         if forked == 0:\n    time.sleep(1000)\n\
         return {'pids': [child.pid, forked]}",
    );
    let worker = site.start();

    let outputs = outputs(&site, json!({})).await;
    worker.end().await;

    for pid in outputs["pids"].as_array().unwrap() {
        let stat = format!("/proc/{pid}/stat");
        let gone = async || {
            let stat = std::fs::read_to_string(&stat).unwrap_or_default();
            stat.is_empty() || stat.contains(") Z ")
        };
        testkit::until_true(&format!("{pid} is gone"), super::site::SOON, gone).await;
    }
}

#[tokio::test]
async fn a_forked_copy_of_a_program_says_nothing_to_the_worker() {
    let site = site("os.fork()\nreturn {'fine': True}");
    let worker = site.start();

    assert_eq!(json!(outputs(&site, json!({})).await), json!({"fine": true}));
    assert_eq!(json!(outputs(&site, json!({})).await), json!({"fine": true}));
    worker.end().await;
}

#[tokio::test]
async fn a_program_may_print_without_end() {
    let site = site(
        "for _ in range(500):\n    print('x' * 1_000_000, end='')\n    \
         os.write(1, b'y' * 1_000_000)\n    print('z')\nreturn {'fine': True}",
    );
    let worker = site.start();

    assert_eq!(json!(outputs(&site, json!({})).await), json!({"fine": true}));
    worker.end().await;
}

#[tokio::test]
async fn a_killed_process_costs_its_execution_nothing() {
    let site = site("return {'pid': os.getpid(), 'answer': self.ask(question=question).answer}");
    let worker = site.start();
    let pid = outputs(&site, json!({})).await["pid"].as_u64().unwrap();
    site.lm.then(Reply::Nothing);

    let id = submit(&site, json!({})).await;
    site.until_called(2).await;
    kill(pid);

    let execution = site.until(id, State::Succeeded).await;
    assert_eq!(execution.attempts.len(), 1);
    worker.end().await;
}

#[tokio::test]
async fn a_killed_parent_costs_its_executions_nothing() {
    let site = site("return {'pid': os.getppid(), 'answer': self.ask(question=question).answer}");
    let worker = site.start();
    let parent = outputs(&site, json!({})).await["pid"].as_u64().unwrap();
    site.lm.then(Reply::Nothing);

    let id = submit(&site, json!({})).await;
    site.until_called(2).await;
    kill(parent);

    let execution = site.until(id, State::Succeeded).await;
    assert_eq!(execution.attempts.len(), 1);
    worker.end().await;
}

#[tokio::test]
async fn a_program_that_is_killed_while_it_loads_is_loaded_again() {
    let site = program(
        "if not os.path.exists('loaded'):\n    open('loaded', 'w').write('once')\n    \
         os.kill(os.getpid(), 9)\n\n\nclass P(dspy.Module):\n    def forward(self):\n        \
         return {'fine': True}\n",
        "",
    );
    let worker = site.start();

    assert_eq!(json!(outputs(&site, json!({})).await), json!({"fine": true}));

    assert_eq!(worker.metrics.python_start_errors.get(), 1);
    worker.end().await;
}

#[tokio::test]
async fn a_process_that_freezes_is_given_no_work_and_replaced() {
    let mut site = site("return {'pid': os.getpid()}");
    site.python.silence_max = Duration::from_secs(5);
    let worker = site.start();
    let frozen = outputs(&site, json!({})).await["pid"].as_u64().unwrap();

    signal("-STOP", frozen);
    let killed = async || worker.metrics.python_killed.get() > 0;
    testkit::until_true("it is killed", super::site::SOON, killed).await;

    let pid = outputs(&site, json!({})).await["pid"].as_u64().unwrap();
    assert_ne!(pid, frozen);
    worker.end().await;
}

fn kill(pid: u64) {
    signal("-9", pid);
}

fn signal(signal: &str, pid: u64) {
    let sent =
        std::process::Command::new("kill").args([signal, &pid.to_string()]).status().unwrap();
    assert!(sent.success());
}

#[tokio::test]
async fn a_program_that_never_starts_is_shown_as_unhealthy() {
    let mut site = program("print('so long', file=sys.stderr, flush=True)\nos._exit(7)\n", "");
    site.python.retry_base = Duration::from_millis(1);
    let worker = site.start();

    let said = error(&site).await;

    assert!(said.contains("exit status: 7") && said.contains("so long"), "{said}");
    assert!(worker.metrics.python_start_errors.get() >= 5);
    let published = testkit::until("it is published", super::site::SOON, async || {
        site.queue.catalogue().await.unwrap().manifests.pop()
    })
    .await;
    assert!(published.0.starts_with("p@") && published.1.contains("so long"), "{published:?}");
    worker.end().await;
}
