//! AWS Lambda around one function, as far as a function can tell: a process with a clean environment, and the Runtime
//! API that hands it one event after the other and takes its answers. Written from AWS's page "Using the Lambda runtime
//! API for custom runtimes"; it shares no code with the crate that the function uses.

use std::fmt;
use std::io::{self, Read};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime};

use serde_json::Value;

use crate::http::{HttpServer, Reply, Request};
use crate::local::lock;

pub const FUNCTION: &str = "keyturn-rotation";
pub const FUNCTION_ARN: &str = "arn:aws:lambda:eu-west-1:123456789012:function:keyturn-rotation";

/// Far longer than any step takes on a busy machine.
const TIMEOUT: Duration = Duration::from_secs(90);
/// How often a process that says nothing is looked after.
const LOOK: Duration = Duration::from_millis(50);
const RUNTIME: &str = "/2018-06-01/runtime";

/// A program in the environment that Lambda gives a function, with its files in `task_root`. What else it needs
/// (arguments, credentials, variables of its own) is the caller's to add.
pub fn command(program: &Path, task_root: &Path) -> Command {
    let mut command = Command::new(program);
    command.env_clear().current_dir(task_root).envs([
        ("PATH", "/usr/local/bin:/usr/bin:/bin:/opt/bin"),
        ("LANG", "en_US.UTF-8"),
        ("TZ", ":UTC"),
        ("_HANDLER", "bootstrap"),
        ("LAMBDA_RUNTIME_DIR", "/var/runtime"),
        ("AWS_REGION", "eu-west-1"),
        ("AWS_DEFAULT_REGION", "eu-west-1"),
        ("AWS_LAMBDA_FUNCTION_NAME", FUNCTION),
        ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256"),
        ("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand"),
        ("AWS_LAMBDA_LOG_GROUP_NAME", "/aws/lambda/keyturn-rotation"),
        ("AWS_LAMBDA_LOG_STREAM_NAME", "2026/01/01/[$LATEST]0123"),
    ]);
    command.env("LAMBDA_TASK_ROOT", task_root);
    command
}

/// How an invocation ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// What the function answered.
    Response(Value),
    /// The error that it answered, as the invoker sees it: `errorType` and `errorMessage`.
    Error { error_type: String, message: String },
    /// The process ended without an answer.
    Died(ExitStatus),
    /// The deadline came first, and the process was killed.
    TimedOut,
}

impl Answer {
    /// What the function answered, if it was no error.
    pub fn response(self) -> Option<Value> {
        match self {
            Self::Response(value) => Some(value),
            _ => None,
        }
    }
}

/// A running function. Dropping it kills it.
pub struct Function {
    process: Child,
    events: Option<Sender<Event>>,
    answers: Receiver<(String, Answer)>,
    log: Arc<Mutex<Vec<u8>>>,
    readers: Vec<JoinHandle<()>>,
    begun: u32,
    _api: HttpServer,
}

struct Event {
    request_id: String,
    deadline: SystemTime,
    body: Vec<u8>,
}

impl Function {
    /// Starts the process and offers it the Runtime API.
    pub fn start(command: &mut Command) -> io::Result<Self> {
        let (events, waiting) = mpsc::channel();
        let (answered, answers) = mpsc::channel();
        let (waiting, answered) = (Mutex::new(waiting), Mutex::new(answered));
        let api = HttpServer::start(move |request| answer(request, &waiting, &answered))?;
        let mut process = command
            .env("AWS_LAMBDA_RUNTIME_API", api.address().to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let log = Arc::new(Mutex::new(Vec::new()));
        let mut readers = Vec::new();
        if let Some(stdout) = process.stdout.take() {
            readers.push(keep(stdout, &log));
        }
        if let Some(stderr) = process.stderr.take() {
            readers.push(keep(stderr, &log));
        }
        Ok(Self {
            process,
            events: Some(events),
            answers,
            log,
            readers,
            begun: 0,
            _api: api,
        })
    }

    /// Hands over an event and waits for its answer.
    ///
    /// # Errors
    /// If the process cannot be looked after.
    pub fn invoke(&mut self, event: &Value) -> io::Result<Answer> {
        self.invoke_within(event, TIMEOUT)
    }

    /// The same with this much time, which the function is told and at whose end it is killed.
    ///
    /// # Errors
    /// As [`invoke`](Self::invoke).
    pub fn invoke_within(&mut self, event: &Value, timeout: Duration) -> io::Result<Answer> {
        let began = Instant::now();
        let request_id = self.hand_over(event.to_string().into_bytes(), timeout);
        loop {
            match self.answers.recv_timeout(LOOK) {
                Ok((answered, answer)) if answered == request_id => return Ok(answer),
                // An answer to an event whose answer nobody has waited for.
                Ok(_) => {}
                Err(RecvTimeoutError::Disconnected) => return Err(ended_early()),
                Err(RecvTimeoutError::Timeout) => {
                    if let Some(status) = self.process.try_wait()? {
                        // It may have answered right before its end.
                        let late = self.answers.try_iter().find(|(id, _)| *id == request_id);
                        return Ok(late.map_or(Answer::Died(status), |(_, answer)| answer));
                    }
                    if began.elapsed() >= timeout {
                        self.kill()?;
                        return Ok(Answer::TimedOut);
                    }
                }
            }
        }
    }

    /// Hands over an event and waits for nothing.
    pub fn begin(&mut self, event: &Value) {
        self.hand_over(event.to_string().into_bytes(), TIMEOUT);
    }

    /// Ends the process as nothing else can: no destructor runs, no buffer is written.
    ///
    /// # Errors
    /// If it cannot be killed.
    pub fn kill(&mut self) -> io::Result<()> {
        self.process.kill()?;
        self.process.wait()?;
        Ok(())
    }

    /// What it has written so far, standard output and standard error.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&lock(&self.log)).into_owned()
    }

    /// Kills it, and answers all that it has written.
    ///
    /// # Errors
    /// If it cannot be killed.
    pub fn end(mut self) -> io::Result<String> {
        self.kill()?;
        for reader in self.readers.drain(..) {
            let _ = reader.join();
        }
        Ok(self.log())
    }

    fn hand_over(&mut self, body: Vec<u8>, timeout: Duration) -> String {
        self.begun += 1;
        let request_id = format!("00000000-0000-4000-8000-{:012}", self.begun);
        if let Some(events) = &self.events {
            // Nobody takes it only if the process is gone, which is seen by whoever waits for the answer.
            let _ = events.send(Event {
                request_id: request_id.clone(),
                deadline: SystemTime::now() + timeout,
                body,
            });
        }
        request_id
    }
}

impl Drop for Function {
    fn drop(&mut self) {
        // The request for the next event ends with this.
        drop(self.events.take());
        let _ = self.kill();
    }
}

impl fmt::Debug for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Function: {}", self.log())
    }
}

/// What a function's log lines say.
///
/// # Errors
/// If one is no JSON.
pub fn lines(log: &str) -> io::Result<Vec<Value>> {
    log.lines()
        .map(|line| {
            serde_json::from_str(line)
                .map_err(|error| io::Error::other(format!("not JSON ({error}): {line}")))
        })
        .collect()
}

fn ended_early() -> io::Error {
    io::Error::other("the Runtime API has ended before the function")
}

fn keep(mut stream: impl Read + Send + 'static, log: &Arc<Mutex<Vec<u8>>>) -> JoinHandle<()> {
    let log = Arc::clone(log);
    thread::spawn(move || {
        let mut chunk = [0; 4096];
        while let Ok(read @ 1..) = stream.read(&mut chunk) {
            lock(&log).extend(&chunk[..read]);
        }
    })
}

/// The Runtime API's four operations.
fn answer(
    request: &Request,
    waiting: &Mutex<Receiver<Event>>,
    answered: &Mutex<Sender<(String, Answer)>>,
) -> Option<Reply> {
    let path = request.path.strip_prefix(RUNTIME);
    let words: Vec<_> = path.unwrap_or_default().split('/').skip(1).collect();
    match (request.method.as_str(), words.as_slice()) {
        ("GET", ["invocation", "next"]) => {
            // Blocks until there is an event; without one until this end is dropped.
            let event = lock(waiting).recv().ok()?;
            Some(next(event))
        }
        ("POST", ["invocation", request_id, "response"]) => {
            let answer = serde_json::from_slice(&request.body).map(Answer::Response);
            Some(take(answered, request_id, answer))
        }
        ("POST", ["invocation", request_id, "error"]) => {
            Some(take(answered, request_id, error(&request.body)))
        }
        // The process ends by itself after this; what it says is in its log.
        ("POST", ["init", "error"]) => Some(accepted()),
        _ => Some(Reply {
            status: 404,
            headers: Vec::new(),
            body: br#"{"errorMessage":"no such operation","errorType":"NotFound"}"#.to_vec(),
        }),
    }
}

fn next(event: Event) -> Reply {
    let since = event.deadline.duration_since(SystemTime::UNIX_EPOCH);
    let deadline_ms = since.unwrap_or_default().as_millis();
    let trace_id = "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Parent=9a9197af755a6419;Sampled=0";
    Reply {
        status: 200,
        headers: vec![
            ("content-type", "application/json".to_owned()),
            ("lambda-runtime-aws-request-id", event.request_id),
            ("lambda-runtime-deadline-ms", deadline_ms.to_string()),
            (
                "lambda-runtime-invoked-function-arn",
                FUNCTION_ARN.to_owned(),
            ),
            ("lambda-runtime-trace-id", trace_id.to_owned()),
        ],
        body: event.body,
    }
}

fn error(body: &[u8]) -> serde_json::Result<Answer> {
    let error: Value = serde_json::from_slice(body)?;
    let text = |member: &str| error[member].as_str().unwrap_or_default().to_owned();
    Ok(Answer::Error {
        error_type: text("errorType"),
        message: text("errorMessage"),
    })
}

/// An answer that is no JSON is refused, as Lambda does.
fn take(
    answered: &Mutex<Sender<(String, Answer)>>,
    request_id: &str,
    answer: serde_json::Result<Answer>,
) -> Reply {
    let Ok(answer) = answer else {
        return Reply {
            status: 400,
            headers: Vec::new(),
            body: br#"{"errorMessage":"not JSON","errorType":"InvalidResponse"}"#.to_vec(),
        };
    };
    // Nobody listens once the function is dropped.
    let _ = lock(answered).send((request_id.to_owned(), answer));
    accepted()
}

fn accepted() -> Reply {
    Reply {
        status: 202,
        headers: Vec::new(),
        body: br#"{"status":"OK"}"#.to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::scratch::Scratch;

    fn shell(script: &str) -> Function {
        let folder = Scratch::new("keyturn-lambda").unwrap();
        let mut command = command(Path::new("/bin/sh"), folder.path());
        Function::start(command.args(["-c", script])).unwrap()
    }

    #[test]
    fn a_process_that_ends_has_died_and_one_that_is_late_is_killed() {
        let mut ends = shell("echo said; exit 3");
        let Answer::Died(status) = ends.invoke(&json!({})).unwrap() else {
            panic!("{ends:?}");
        };
        assert_eq!(status.code(), Some(3));
        assert_eq!(ends.end().unwrap(), "said\n");
        let mut sleeps = shell("exec sleep 600");
        let answer = sleeps.invoke_within(&json!({}), Duration::from_millis(50));
        assert_eq!(answer.unwrap(), Answer::TimedOut);
    }

    #[test]
    fn a_log_is_json_line_by_line() {
        assert_eq!(
            lines("{\"a\":1}\n2\n").unwrap(),
            [json!({"a": 1}), json!(2)]
        );
        assert!(lines("{\"a\":1}\nwarning: x\n").is_err());
    }
}
