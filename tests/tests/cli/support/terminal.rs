//! A command on a terminal of its own, as a person has it: what it shows can be read, keys can be pressed, and whether
//! the terminal shows what is typed can be asked.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use harness::poll;
use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, tcgetattr};

use super::{Workspace, binary};

const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct Terminal {
    child: Child,
    keyboard: File,
    /// The side that the command sees.
    screen: OwnedFd,
    shown: Arc<Mutex<Vec<u8>>>,
    reader: JoinHandle<()>,
}

impl Terminal {
    pub(crate) fn run(workspace: &Workspace, arguments: &[&str]) -> Self {
        let keyboard = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&keyboard).unwrap();
        unlockpt(&keyboard).unwrap();
        let name = ptsname(&keyboard, Vec::new()).unwrap();
        let open = || {
            File::options()
                .read(true)
                .write(true)
                .open(name.to_str().unwrap())
                .unwrap()
        };
        // A session of its own, whose terminal is this one: a password is asked for on /dev/tty.
        let child = Command::new("setsid")
            .args(["--ctty", "--wait"])
            .arg(binary())
            .args(arguments)
            .current_dir(workspace.folder())
            .env_remove("KEYTURN_CONFIG")
            .stdin(Stdio::from(open()))
            .stdout(Stdio::from(open()))
            .stderr(Stdio::from(open()))
            .spawn()
            .unwrap();
        let screen = OwnedFd::from(open());
        let keyboard = File::from(keyboard);
        let shown = Arc::new(Mutex::new(Vec::new()));
        let (mut from, to) = (keyboard.try_clone().unwrap(), Arc::clone(&shown));
        let reader = std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            // A terminal that nobody holds open any more answers with an error.
            while let Ok(count @ 1..) = from.read(&mut buffer) {
                to.lock().unwrap().extend_from_slice(&buffer[..count]);
            }
        });
        Self {
            child,
            keyboard,
            screen,
            shown,
            reader,
        }
    }

    #[track_caller]
    pub(crate) fn waits_for(&self, words: &str) {
        let found = poll::until_true(PATIENCE, || self.shown().contains(words));
        assert!(found, "{words:?} is not shown: {}", self.shown());
    }

    /// What may be seen.
    pub(crate) fn types_openly(&mut self, text: &str) {
        self.keyboard.write_all(text.as_bytes()).unwrap();
    }

    pub(crate) fn types(&mut self, text: &str) {
        // What is typed before the echo is off would be shown, as on any terminal.
        assert!(self.waits_until_echo_is(false));
        self.keyboard.write_all(text.as_bytes()).unwrap();
    }

    pub(crate) fn waits_until_echo_is(&self, on: bool) -> bool {
        poll::until_true(PATIENCE, || {
            let modes = tcgetattr(&self.screen).unwrap().local_modes;
            modes.contains(LocalModes::ECHO) == on
        })
    }

    /// Ctrl-C.
    pub(crate) fn interrupt(&mut self) {
        self.keyboard.write_all(&[3]).unwrap();
    }

    /// Exit code, and all that was shown.
    pub(crate) fn end(mut self) -> (Option<i32>, String) {
        let ended = poll::until(PATIENCE, || self.child.try_wait().unwrap());
        let Some(status) = ended else {
            let pid = Pid::from_child(&self.child);
            let _ = kill_process(pid, Signal::KILL);
            panic!("it did not end: {}", self.shown());
        };
        drop(self.screen);
        self.reader.join().unwrap();
        let shown = String::from_utf8_lossy(&self.shown.lock().unwrap()).into_owned();
        (status.code(), shown)
    }

    fn shown(&self) -> String {
        String::from_utf8_lossy(&self.shown.lock().unwrap()).into_owned()
    }
}
