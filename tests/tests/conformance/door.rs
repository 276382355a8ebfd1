//! The server of the broken plugins: users with passwords that can be added and dropped. It shares no code with the
//! plugin.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

const TIMEOUT: Duration = Duration::from_secs(20);

#[derive(Clone, Default)]
pub(crate) struct User {
    pub(crate) passwords: BTreeSet<String>,
    pub(crate) may_work: bool,
    pub(crate) is_open: bool,
}

/// A running server. Dropping it stops it.
pub(crate) struct Door {
    address: SocketAddr,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    users: Mutex<BTreeMap<String, User>>,
    is_marked: AtomicBool,
    stopping: AtomicBool,
    /// Where a replica looks; while it lags, nowhere.
    primary: Option<Arc<State>>,
    lags: AtomicBool,
}

impl Door {
    pub(crate) fn start(users: &[(&str, User)]) -> Self {
        let users = users
            .iter()
            .map(|(name, user)| ((*name).to_owned(), user.clone()));
        Self::with(State {
            users: Mutex::new(users.collect()),
            ..State::default()
        })
    }

    /// One that knows what this one knows.
    pub(crate) fn replica(&self) -> Self {
        Self::with(State {
            primary: Some(Arc::clone(&self.state)),
            users: Mutex::new(self.state.users.lock().unwrap().clone()),
            ..State::default()
        })
    }

    fn with(state: State) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(state);
        let serving = Arc::clone(&state);
        thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                if serving.stopping.load(Ordering::SeqCst) {
                    return;
                }
                let state = Arc::clone(&serving);
                // How a connection ends is the client's affair.
                thread::spawn(move || state.serve(connection));
            }
        });
        Self { address, state }
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    pub(crate) fn lag(&self, on: bool) {
        self.state.follow();
        self.state.lags.store(on, Ordering::SeqCst);
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        self.state.stopping.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
    }
}

impl State {
    fn follow(&self) {
        if let Some(primary) = &self.primary
            && !self.lags.load(Ordering::SeqCst)
        {
            let users = primary.users.lock().unwrap().clone();
            *self.users.lock().unwrap() = users;
        }
    }

    fn serve(&self, connection: TcpStream) -> io::Result<()> {
        connection.set_read_timeout(Some(TIMEOUT))?;
        let mut answers = connection.try_clone()?;
        let mut user = None;
        for line in BufReader::new(connection).lines() {
            let line = line?;
            let words: Vec<&str> = line.split(' ').collect();
            let answer = self.answer(&words, &mut user);
            answers.write_all(format!("{answer}\n").as_bytes())?;
        }
        Ok(())
    }

    fn answer(&self, words: &[&str], who: &mut Option<String>) -> &'static str {
        self.follow();
        let mut users = self.users.lock().unwrap();
        if let ["LOGIN", name, password] = words {
            let user = users.get(*name);
            let lets_in =
                user.is_some_and(|user| user.is_open || user.passwords.contains(*password));
            *who = lets_in.then(|| (*name).to_owned());
            return if lets_in { "OK" } else { "NO" };
        }
        let Some(user) = who.as_ref().and_then(|name| users.get_mut(name)) else {
            return "LOGIN FIRST";
        };
        match words {
            ["WORK"] if user.may_work => "OK",
            ["WORK"] => "FORBIDDEN",
            ["ADD", password] => {
                user.passwords.insert((*password).to_owned());
                "OK"
            }
            ["DROP", password] => {
                user.passwords.remove(*password);
                "OK"
            }
            ["MARK"] if self.is_marked.swap(true, Ordering::SeqCst) => "BUSY",
            ["MARK"] => "OK",
            ["UNMARK"] => {
                self.is_marked.store(false, Ordering::SeqCst);
                "OK"
            }
            _ => "WHAT",
        }
    }
}
