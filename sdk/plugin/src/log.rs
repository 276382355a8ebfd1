//! Log lines through the host, which caps, escapes and scrubs them. Fields are for values, the
//! message is for words:
//!
//! ```
//! # let _host = keyturn_sdk::fake::Host::new().install();
//! keyturn_sdk::log::info!("role created"; "role" => "app_clone", "attempt" => 2);
//! ```

use crate::host;

pub use crate::bindings::keyturn::rotation::log::Severity;
pub use crate::{log_debug as debug, log_error as error, log_info as info, log_warn as warn};

/// Writes one line.
pub fn write(severity: Severity, message: &str, fields: &[(String, String)]) {
    host::log(severity, message, fields);
}

/// As [`log::info!`](crate::log::info), for readers of protocol dumps.
#[macro_export]
macro_rules! log_debug {
    ($($rest:tt)*) => { $crate::__log!($crate::log::Severity::Debug, $($rest)*) };
}

/// Logs a message, with fields after a semicolon: `info!("text"; "name" => value)`.
#[macro_export]
macro_rules! log_info {
    ($($rest:tt)*) => { $crate::__log!($crate::log::Severity::Info, $($rest)*) };
}

/// As [`log::info!`](crate::log::info), for what the operator should look at.
#[macro_export]
macro_rules! log_warn {
    ($($rest:tt)*) => { $crate::__log!($crate::log::Severity::Warn, $($rest)*) };
}

/// As [`log::info!`](crate::log::info), for what failed.
#[macro_export]
macro_rules! log_error {
    ($($rest:tt)*) => { $crate::__log!($crate::log::Severity::Error, $($rest)*) };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __log {
    ($severity:expr, $message:expr $(; $($name:expr => $value:expr),* $(,)?)?) => {
        $crate::log::write(
            $severity,
            ::std::convert::AsRef::<str>::as_ref(&$message),
            &[$($((::std::string::String::from($name), ::std::string::ToString::to_string(&$value))),*)?],
        )
    };
}
