//! The command line: names, arguments and their help. It holds no behaviour, and no argument ever
//! takes a secret value: values come from files or standard input and leave only with `--reveal`.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use keyturn_config::StoreKind;

/// The configuration where nobody names one.
pub(crate) const CONFIG_DEFAULT: &str = "keyturn.toml";

/// Rotates credentials without downtime.
#[derive(Debug, Parser)]
#[command(name = "keyturn", version, about)]
#[command(after_help = crate::exit::HELP)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Args)]
pub(crate) struct Global {
    /// The configuration file.
    #[arg(
        long,
        global = true,
        env = "KEYTURN_CONFIG",
        default_value = CONFIG_DEFAULT,
        value_name = "FILE"
    )]
    pub(crate) config: PathBuf,
    /// A folder with further plugins (.wasm components).
    #[arg(long, global = true, env = "KEYTURN_PLUGIN_DIR", value_name = "DIR")]
    pub(crate) plugin_dir: Option<PathBuf>,
    /// Take this store instead of the configured one.
    #[arg(long, global = true, env = "KEYTURN_STORE", value_name = "KIND")]
    pub(crate) store: Option<Store>,
    /// Print data as JSON.
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Store {
    /// The file that [store] names.
    Embedded,
    /// AWS Secrets Manager, or what speaks like it, with what [store] says about it if it is of this kind.
    Aws,
}

impl From<Store> for StoreKind {
    fn from(store: Store) -> Self {
        match store {
            Store::Embedded => Self::Embedded,
            Store::Aws => Self::Aws,
        }
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make a store, its master key and a configuration file to start from.
    Init(Init),
    #[command(flatten)]
    OnStore(OnStore),
    /// Rotate secrets as AWS Secrets Manager asks for it: the function that AWS Lambda starts. A binary that is called
    /// `bootstrap` does it by itself.
    Lambda,
    /// What happened to a secret, oldest first.
    History(History),
    /// Make an access key for a client of `keyturn serve`; the file is an AWS credentials file.
    AccessKey(AccessKey),
    /// Look at plugins, and make them.
    #[command(subcommand)]
    Plugin(Plugin),
    /// Print a completion script for a shell.
    Completions { shell: Shell },
}

/// The commands that need the store open.
#[derive(Debug, Subcommand)]
pub(crate) enum OnStore {
    /// Create, read and list secrets.
    #[command(subcommand)]
    Secret(Secret),
    /// Rotate secrets now, all four steps; continues an interrupted rotation.
    Rotate(Rotate),
    /// Rotate with a value that only you can bring: shows what to do at the vendor and asks for it.
    Assist(Assist),
    /// Kill the old value of a finished rotation, with proof.
    Retire(Retire),
    /// Does AWSCURRENT log in right now?
    Verify(Names),
    /// Kind, strategy, last and next rotation, end of grace, what is in doubt.
    Status(Names),
    /// Serve the store over AWS Secrets Manager's protocol, so that applications keep their AWS SDK.
    Serve(Serve),
}

#[derive(Debug, Args)]
pub(crate) struct Serve {
    /// Faults to make on purpose, for tests of clients: a JSON list.
    #[arg(long, value_name = "FILE", hide = true)]
    pub(crate) faults: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Init {
    /// The folder to make them in.
    #[arg(default_value = ".")]
    pub(crate) dir: PathBuf,
}

/// Nothing of the key's secret is printed: hand the file to the application (AWS_SHARED_CREDENTIALS_FILE), and name it in
/// the table [serve.access.NAME].
#[derive(Debug, Args)]
pub(crate) struct AccessKey {
    /// A new file, made with mode 0600.
    pub(crate) file: PathBuf,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Secret {
    /// Create a secret; its first version is AWSCURRENT.
    Create {
        name: String,
        #[command(flatten)]
        value: ValueSource,
        #[arg(long, default_value = "")]
        description: String,
    },
    /// Write a new AWSCURRENT by hand; like on AWS, a rotation that was interrupted loses AWSPENDING. Refused while a run
    /// is at work on the secret.
    Put {
        name: String,
        #[command(flatten)]
        value: ValueSource,
    },
    /// Read a version.
    Get {
        name: String,
        /// The staging label of the version.
        #[arg(
            long,
            default_value = "AWSCURRENT",
            value_name = "LABEL",
            conflicts_with = "id"
        )]
        stage: String,
        /// The version itself, as `secret describe`, `status` and `history` print it.
        #[arg(long, value_name = "VERSION")]
        id: Option<String>,
        /// Print the value too.
        #[arg(long)]
        reveal: bool,
    },
    /// Give one credential of a secret a secret of its own: copies its members, and says what to do next. From then on
    /// NEW rotates it, and NAME refuses to.
    Split(Split),
    /// List the secrets of the store.
    List,
    /// The versions of a secret and their staging labels.
    Describe { name: String },
}

#[derive(Debug, Args)]
pub(crate) struct Split {
    #[arg(value_name = "NAME#CREDENTIAL")]
    pub(crate) name: String,
    /// The new secret.
    #[arg(long, value_name = "NEW")]
    pub(crate) to: String,
    /// The second step, once every application reads NEW: takes the members out of NAME.
    #[arg(long, conflicts_with = "undo")]
    pub(crate) remove: bool,
    /// Back, for as long as NEW has not rotated it and NAME holds it still: NAME rotates it again, and NEW refuses to.
    #[arg(long)]
    pub(crate) undo: bool,
}

/// Where a value comes from. Never an argument: arguments are visible to every process.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct ValueSource {
    /// Read the value from a file.
    #[arg(long, value_name = "FILE")]
    pub(crate) value_file: Option<PathBuf>,
    /// Read the value from standard input.
    #[arg(long)]
    pub(crate) value_stdin: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Names {
    /// NAME or NAME#CREDENTIAL; all configured ones if none is given.
    #[arg(value_name = "NAME[#CREDENTIAL]")]
    pub(crate) names: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Rotate {
    /// NAME or NAME#CREDENTIAL.
    #[arg(
        value_name = "NAME[#CREDENTIAL]",
        required_unless_present = "all",
        conflicts_with = "all"
    )]
    pub(crate) names: Vec<String>,
    /// Rotate every configured credential, one after the other.
    #[arg(long)]
    pub(crate) all: bool,
    /// Rotate although the previous value's grace is not over; whoever still uses it is locked out.
    #[arg(long)]
    pub(crate) now: bool,
    /// Take AWSPENDING off a version that another rotation has announced and never given a value: nobody goes on with
    /// it, and it keeps every other rotation away.
    #[arg(long)]
    pub(crate) unstick: bool,
}

/// The answer to the only question, or a JSON object with the answers by their names. Without either you are asked on
/// the terminal, and what is secret is not shown. Never an argument: arguments are visible to every process.
#[derive(Debug, Args)]
pub(crate) struct Assist {
    #[arg(value_name = "NAME[#CREDENTIAL]")]
    pub(crate) name: String,
    /// Rotate although the previous value's grace is not over; whoever still uses it is locked out.
    #[arg(long)]
    pub(crate) now: bool,
    /// Ask although AWSCURRENT was not seen to work: it is dead or leaked, or its vendor is out of reach. Where a new
    /// value ends the present one, a wrong grant or setting shows only then.
    #[arg(long)]
    pub(crate) without_preflight: bool,
    /// Read the answer from a file.
    #[arg(long, value_name = "FILE", conflicts_with = "value_stdin")]
    pub(crate) value_file: Option<PathBuf>,
    /// Read the answer from standard input.
    #[arg(long)]
    pub(crate) value_stdin: bool,
}

impl Assist {
    /// Whether the answer comes along and nobody is asked.
    pub(crate) fn hands_over(&self) -> bool {
        self.value_stdin || self.value_file.is_some()
    }
}

#[derive(Debug, Args)]
pub(crate) struct Retire {
    #[arg(value_name = "NAME[#CREDENTIAL]")]
    pub(crate) name: String,
    /// Retire although the grace is not over; whoever still uses the old value is locked out.
    #[arg(long)]
    pub(crate) now: bool,
    /// Take your word for what keyturn cannot ask: alone, that values of another server than AWSCURRENT's, or of a form
    /// that its vendor cannot be asked about, open nothing any more; with the version that `retire` names, that nothing is encrypted any more with the older keys that this
    /// version of a key ring holds. It is written into the audit trail.
    #[arg(long, value_name = "VERSION", num_args = 0..=1, require_equals = true)]
    pub(crate) declare_dead: Option<Option<String>>,
}

#[derive(Debug, Args)]
pub(crate) struct History {
    /// NAME or NAME#CREDENTIAL; everything if none is given.
    #[arg(value_name = "NAME[#CREDENTIAL]")]
    pub(crate) name: Option<String>,
    /// How many entries at the most, the newest.
    #[arg(long, default_value_t = 200, value_name = "N")]
    pub(crate) most: usize,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Plugin {
    /// The plugins that this binary ships and those of --plugin-dir.
    List,
    /// What a plugin asks for: capabilities, endpoints, companions, limits, strategies, settings.
    Inspect {
        /// A name from `plugin list`, or a .wasm file.
        plugin: String,
    },
    /// Make a folder with a small plugin in it, to be changed into your own.
    New(NewPlugin),
    /// Compile a plugin into `keyturn/NAME.wasm` of cargo's target folder.
    Build(BuildPlugin),
    /// Whether a plugin is fit to hold production credentials: runs it under the real engine and breaks what it talks to.
    Check(CheckPlugin),
}

#[derive(Debug, Args)]
pub(crate) struct NewPlugin {
    /// The plugin's name, such as `door-pin`.
    pub(crate) name: String,
    /// The folder of keyturn-sdk: `sdk/plugin` of a clone of Keyturn's repository. It is not on crates.io yet.
    #[arg(long, value_name = "DIR")]
    pub(crate) sdk: PathBuf,
    /// The folder to make it in; left out: NAME, here.
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct BuildPlugin {
    /// The folder of the plugin's crate.
    #[arg(default_value = ".")]
    pub(crate) dir: PathBuf,
}

/// Exit code 0: fit; 5: a check failed; 7: nothing failed, and something was not checked.
#[derive(Debug, Args)]
pub(crate) struct CheckPlugin {
    /// A .wasm file, or a name from `plugin list`.
    pub(crate) plugin: String,
    /// A server that is there for this alone, as scheme://user:password@host:port/database; its credentials are changed.
    /// Once for each node of a cluster. Behind a question mark: tls=disable, ca=FILE, server_name=NAME, connect=HOST:PORT
    /// (where the server is reached instead).
    #[arg(long, value_name = "URL")]
    pub(crate) target: Vec<String>,
    /// What to check with, instead of the example in the plugin's secret schema: a JSON object with secret, strategy,
    /// settings, companions, endpoints, answers, unprivileged, unprotected.
    #[arg(long, value_name = "FILE")]
    pub(crate) sample: Option<PathBuf>,
    /// Write the report as JSON.
    #[arg(long = "json-file", value_name = "FILE")]
    pub(crate) json_file: Option<PathBuf>,
    /// Write the report as JUnit XML.
    #[arg(long, value_name = "FILE")]
    pub(crate) junit: Option<PathBuf>,
}
