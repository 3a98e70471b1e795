//! The parent process of a program: started once, then asked for children.

use std::{
    io,
    os::{
        fd::{AsFd, OwnedFd},
        unix::net::UnixStream as StdStream,
    },
    path::PathBuf,
    process::Stdio,
    sync::Arc,
};

use programs::{Fetched, PythonManifest};
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use tokio::{
    io::{AsyncWriteExt, BufReader, Interest},
    net::{
        UnixStream,
        unix::{OwnedReadHalf, OwnedWriteHalf, pipe},
    },
    process::{Child as Process, Command},
    task::JoinSet,
    time,
};

use super::{
    PythonConfig, frame,
    interpreter::Interpreter,
    output::{self, LastWords},
    protocol::{FromParent, Init, PROTOCOL, ToParent},
    source,
};
use crate::Metrics;

/// What a pool needs to start processes of its program.
#[derive(Clone, Debug)]
pub(super) struct Recipe {
    /// The program, for logs.
    pub(super) program: String,
    /// Its Python.
    pub(super) interpreter: Interpreter,
    /// The folder that it runs in.
    pub(super) folder: PathBuf,
    /// What was fetched of it: held, so that nobody clears it away.
    #[expect(dead_code, reason = "held, not read")]
    pub(super) fetched: Option<Fetched>,
    /// What it is to load.
    pub(super) init: Init,
    /// How processes are run.
    pub(super) config: Arc<PythonConfig>,
    /// Where they are counted.
    pub(super) metrics: Arc<Metrics>,
}

/// A parent that has loaded its program. Killed when dropped, and its children with it.
#[derive(Debug)]
pub(super) struct Parent {
    process: Process,
    writer: OwnedWriteHalf,
    /// What it has loaded; none where its children load it.
    pub(super) manifest: Option<PythonManifest>,
    /// Its logs.
    _logs: JoinSet<()>,
}

/// The other ends of what a new child is given.
pub(super) struct Ends {
    /// The socket.
    pub(super) socket: UnixStream,
    /// Its standard output and standard error.
    pub(super) pipes: [pipe::Receiver; 2],
}

/// Why a parent could not be started.
#[derive(Debug)]
pub(super) enum StartError {
    /// The program cannot be loaded.
    NotLoaded(String),
    /// It must not fork; each child has to load it.
    CannotFork(String),
    /// Anything else, which may pass.
    Passing(String),
}

impl From<io::Error> for StartError {
    fn from(error: io::Error) -> Self {
        Self::Passing(error.to_string())
    }
}

impl Recipe {
    /// Starts a parent, and waits until it has loaded the program.
    pub(super) async fn start(&self) -> Result<(Parent, BufReader<OwnedReadHalf>), StartError> {
        let (ours, theirs) = StdStream::pair()?;
        ours.set_nonblocking(true)?;
        let (reader, writer) = UnixStream::from_std(ours)?.into_split();
        let process = self.spawn(theirs)?;
        let mut starting = Starting::new(self, process, writer, BufReader::new(reader));
        let limit = self.config.start_timeout;
        match time::timeout(limit, starting.until_ready(&self.init)).await {
            Ok(Ok(manifest)) => Ok(starting.ready(manifest)),
            Ok(Err(error)) => Err(error),
            Err(_) => {
                let seconds = limit.as_secs_f64();
                let words = starting.words.quote();
                let text = format!("the program takes longer than {seconds} s to load{words}");
                Err(StartError::Passing(text))
            }
        }
    }

    fn spawn(&self, stdin: StdStream) -> io::Result<Process> {
        Command::new(&self.interpreter.path)
            .args(["-u", "-c", source::BOOT])
            .env_clear()
            .envs(self.config.environment.iter().map(|(name, value)| (name, value)))
            .envs(ALWAYS)
            .current_dir(&self.folder)
            .stdin(Stdio::from(OwnedFd::from(stdin)))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| {
                let path = self.interpreter.path.display();
                io::Error::new(error.kind(), format!("cannot start {path}: {error}"))
            })
    }
}

/// What every program's environment says: no look-up on the network at import, tracebacks of
/// crashes, little memory for many threads.
const ALWAYS: [(&str, &str); 4] = [
    ("LITELLM_LOCAL_MODEL_COST_MAP", "True"),
    ("MALLOC_ARENA_MAX", "2"),
    ("PYTHONFAULTHANDLER", "1"),
    ("PYTHONUNBUFFERED", "1"),
];

/// A parent that loads.
struct Starting {
    process: Process,
    writer: OwnedWriteHalf,
    reader: BufReader<OwnedReadHalf>,
    words: LastWords,
    logs: JoinSet<()>,
}

impl Starting {
    fn new(
        recipe: &Recipe,
        mut process: Process,
        writer: OwnedWriteHalf,
        reader: BufReader<OwnedReadHalf>,
    ) -> Self {
        let (words, mut logs) = (LastWords::default(), JoinSet::new());
        let program = || recipe.program.clone();
        if let Some(pipe) = process.stdout.take() {
            logs.spawn(output::follow(pipe, program(), "stdout", words.clone()));
        }
        if let Some(pipe) = process.stderr.take() {
            logs.spawn(output::follow(pipe, program(), "stderr", words.clone()));
        }
        Self { process, writer, reader, words, logs }
    }

    async fn until_ready(&mut self, init: &Init) -> Result<Option<PythonManifest>, StartError> {
        self.writer.write_all(&frame::encode(&source::files())?).await?;
        self.writer.write_all(&frame::encode(&ToParent::Init(init))?).await?;
        loop {
            match frame::read(&mut self.reader).await? {
                Some(FromParent::Hello { protocol, dspy, python, .. }) => {
                    if protocol != PROTOCOL {
                        let text = format!("its runner speaks protocol {protocol}");
                        return Err(StartError::NotLoaded(text));
                    }
                    if dspy.is_none() {
                        return Err(StartError::NotLoaded(format!(
                            "the interpreter (Python {python}) has no package `dspy`; install it \
                             there with `pip install dspy`"
                        )));
                    }
                }
                Some(FromParent::Ready { manifest }) => return Ok(manifest),
                Some(FromParent::InitFailed(reason)) => {
                    tracing::debug!(traceback = %reason.traceback, "a program cannot be loaded");
                    return Err(StartError::NotLoaded(reason.message));
                }
                Some(FromParent::CannotFork { reason }) => {
                    return Err(StartError::CannotFork(reason));
                }
                Some(FromParent::Exited { .. }) => {}
                None => return Err(self.gone().await),
            }
        }
    }

    /// Why it has ended.
    async fn gone(&mut self) -> StartError {
        let how = match self.process.wait().await {
            Ok(status) => status.to_string(),
            Err(error) => error.to_string(),
        };
        while self.logs.join_next().await.is_some() {}
        let words = self.words.quote();
        StartError::Passing(format!("the process ended while it loaded ({how}){words}"))
    }

    fn ready(self, manifest: Option<PythonManifest>) -> (Parent, BufReader<OwnedReadHalf>) {
        let Self { process, writer, reader, words: _, logs } = self;
        (Parent { process, writer, manifest, _logs: logs }, reader)
    }
}

impl Parent {
    /// Asks for a child of that number.
    pub(super) async fn fork(&mut self, child: u32) -> io::Result<Ends> {
        let (ours, theirs) = StdStream::pair()?;
        ours.set_nonblocking(true)?;
        let (out, out_end) = io::pipe()?;
        let (err, err_end) = io::pipe()?;
        let frame = frame::encode(&ToParent::Fork { child })?;
        let given = [theirs.as_fd(), out_end.as_fd(), err_end.as_fd()];
        let stream: &UnixStream = self.writer.as_ref();
        let sent = stream
            .async_io(Interest::WRITABLE, || {
                let mut space = [std::mem::MaybeUninit::uninit(); ANCILLARY_BYTES];
                let mut ancillary = SendAncillaryBuffer::new(&mut space);
                ancillary.push(SendAncillaryMessage::ScmRights(&given));
                let parts = [io::IoSlice::new(&frame)];
                Ok(sendmsg(stream, &parts, &mut ancillary, SendFlags::NOSIGNAL)?)
            })
            .await?;
        self.writer.write_all(&frame[sent..]).await?;
        let receiver = |it: io::PipeReader| pipe::Receiver::from_owned_fd(OwnedFd::from(it));
        Ok(Ends { socket: UnixStream::from_std(ours)?, pipes: [receiver(out)?, receiver(err)?] })
    }

    /// Tells it something.
    pub(super) async fn tell(&mut self, message: &ToParent<'_>) -> io::Result<()> {
        self.writer.write_all(&frame::encode(message)?).await
    }

    /// Kills it; its children die with it.
    pub(super) fn kill(&mut self) {
        // One that has ended already cannot be killed, which is as good.
        drop(self.process.start_kill());
    }
}

/// Room for the three descriptors of a child.
const ANCILLARY_BYTES: usize = rustix::cmsg_space!(ScmRights(3));
