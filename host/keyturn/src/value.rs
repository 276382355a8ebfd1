//! Secret values from outside: a file, standard input, or a person at the terminal. Never an argument, which every
//! process can see, and never shown while it is typed.

use std::{
    fs,
    io::{self, BufRead, IsTerminal, Read},
    path::Path,
};

use keyturn_runtime::Prompt;
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};
use secrecy::SecretString;
use zeroize::Zeroizing;

use crate::{exit::Failure, output, session::refuse};

/// A value from a file, or from standard input, without the newline that editors and `echo` add.
pub(crate) fn read(file: Option<&Path>) -> Result<SecretString, Failure> {
    let mut text = Zeroizing::new(String::new());
    match file {
        Some(path) => {
            *text = fs::read_to_string(path)
                .map_err(|error| refuse(format!("{}: {error}", path.display())))?;
        }
        None => {
            io::stdin()
                .read_to_string(&mut text)
                .map_err(|error| refuse(format!("standard input: {error}")))?;
        }
    }
    Ok(without_newline(&text))
}

/// The terminal's settings, which come back when this is dropped: an interrupted prompt must not leave it without an
/// echo.
pub(crate) struct Terminal(Option<Termios>);

impl Terminal {
    pub(crate) fn keep() -> Self {
        Self(tcgetattr(io::stdin()).ok())
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        if let Some(settings) = &self.0 {
            // Without a terminal there is nothing to restore.
            let _ = tcsetattr(io::stdin(), OptionalActions::Now, settings);
        }
    }
}

/// Whether somebody can be asked.
pub(crate) fn can_ask() -> bool {
    io::stdin().is_terminal()
}

/// Asks on the terminal. What has several lines cannot be typed unseen, so a file is asked for.
pub(crate) fn ask(prompt: &Prompt) -> Result<SecretString, Failure> {
    let example = prompt
        .example
        .as_ref()
        .map_or(String::new(), |example| format!(" (such as {example})"));
    if prompt.multiline {
        output::to_stderr(&format!("{}{example}. A file that holds it:", prompt.label));
        let path = typed()?;
        return read(Some(Path::new(path.trim())));
    }
    output::to_stderr(&format!("{}{example}:", prompt.label));
    if !prompt.sensitive {
        return Ok(without_newline(&typed()?));
    }
    let text = Zeroizing::new(rpassword::read_password().map_err(|error| no_answer(&error))?);
    Ok(without_newline(&text))
}

fn no_answer(error: &io::Error) -> Failure {
    if error.kind() == io::ErrorKind::UnexpectedEof {
        return refuse("no answer was given; nothing was stored or changed");
    }
    refuse(format!("the terminal: {error}"))
}

fn typed() -> Result<Zeroizing<String>, Failure> {
    let mut line = Zeroizing::new(String::new());
    let read = io::stdin().lock().read_line(&mut line);
    // An empty answer is a line all the same.
    let ended = matches!(read, Ok(0)).then(|| io::ErrorKind::UnexpectedEof.into());
    match read.err().or(ended) {
        Some(error) => Err(no_answer(&error)),
        None => Ok(line),
    }
}

fn without_newline(text: &str) -> SecretString {
    let value = text.strip_suffix('\n').unwrap_or(text);
    SecretString::from(value.strip_suffix('\r').unwrap_or(value))
}
