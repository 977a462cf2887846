//! One stage as a whole program.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use clap::{ArgMatches, Args, Command, FromArgMatches as _};
use model::{Env, ExitCode, Redactor, Report, Secret};

use crate::args::{Format, Global, with_variables};
use crate::complain::{self, Section, complain};
use crate::files::{NamedFile, Use};
use crate::{
    Failure, Interrupt, Job, Progress, Publisher, Selection, VERSION, help, inputs, log, publish,
};

/// A pipeline stage: its flags, and what it does with them.
#[expect(
    async_fn_in_trait,
    reason = "stages run on the one thread of their process"
)]
pub trait Stage: Args {
    /// The binary's name.
    const NAME: &'static str;
    /// The question that the stage answers, for `--help`.
    const ABOUT: &'static str;
    /// Shown after the flags in `--help`.
    const EXAMPLES: &'static str = "";
    /// Whether a configuration that cannot be used ends the stage. Where it does not, see
    /// [`Job::broken`].
    const NEEDS_CONFIGURATION: bool = true;

    /// The stages that it runs, of which each leaves a report of its own beside its own report.
    const PARTS: &'static [&'static str] = &[];

    /// How long the stage may go on after a signal before it is dropped.
    const GRACE: Duration = Duration::from_secs(2);

    /// Lays flags over the configuration, before anything is asked.
    fn configure(&self, config: &mut config::Config) -> Result<(), Failure> {
        let _ = config;
        Ok(())
    }

    /// Secrets that came in by flags; they are redacted like those of the environment.
    fn secrets(&self) -> Vec<Secret> {
        Vec::new()
    }

    /// Whether the action can write series for Prometheus: `--format prometheus`.
    fn writes_series(&self) -> bool {
        false
    }

    /// What an action prints that neither asks nor changes anything: it needs no configuration,
    /// leaves no report, and ends with 0.
    fn offline_output(&self, format: Format) -> Option<Result<String, Failure>> {
        let _ = format;
        None
    }

    /// By which name its end is written into the log of events, where `incident:` is configured. `None`: an
    /// action that only shows something.
    fn event(&self) -> Option<&'static str> {
        None
    }

    /// Whether it is to put a release back: who knows of an open incident is told where it did not.
    fn goes_back(&self) -> bool {
        false
    }

    async fn run(self, job: &Job) -> Result<Report, Failure>;
}

/// The whole `main` of a stage's binary.
pub fn run<S: Stage>() -> std::process::ExitCode {
    if let Some(code) = worker() {
        return code;
    }
    let env = process_env();
    match parse(command::<S>(), &env, std::env::args_os()) {
        Ok(matches) => dispatch::<S>(&matches, &env).into(),
        Err(code) => code.into(),
    }
}

/// To be called first in `main`: this process may be one that a stage started to run jq filters
/// in. Any other may from here on open as many files as the machine lets it.
pub fn worker() -> Option<std::process::ExitCode> {
    let code = jq::worker();
    if code.is_none() {
        raise_file_limit();
    }
    code
}

/// The limit of open files that holds by default is for programs that use `select`; thousands of
/// endpoints need more. What is started by us has the same, so it is raised no further than systemd
/// sets the hard limit: some programs close all files that they may have at their start.
fn raise_file_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    const MAX_OPEN_FILES: u64 = 512 << 10;
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let wanted = maximum.unwrap_or(MAX_OPEN_FILES).min(MAX_OPEN_FILES);
    if current.is_some_and(|current| current < wanted) {
        let raised = Rlimit {
            current: Some(wanted),
            maximum,
        };
        // If it may not be raised, the limit is reached later, and reported then.
        let _ = setrlimit(Resource::Nofile, raised);
    }
}

/// The environment of this process; what is not UTF-8 is left out.
pub fn process_env() -> Env {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}

/// A stage's command line.
pub fn command<S: Stage>() -> Command {
    let command = S::augment_args(Command::new(S::NAME));
    let command = Global::augment_args(command)
        .version(VERSION)
        .about(S::ABOUT)
        .max_term_width(100);
    let command = if S::EXAMPLES.is_empty() {
        command
    } else {
        command.after_help(S::EXAMPLES)
    };
    help::exemplified(command)
}

/// Parses arguments and variables; on `Err`, help or an error was written and this is the code.
pub fn parse(
    command: Command,
    env: &Env,
    args: impl IntoIterator<Item = OsString>,
) -> Result<ArgMatches, ExitCode> {
    let args: Vec<OsString> = args.into_iter().collect();
    let mut command = with_variables(command, env);
    if help::is_short(&args) {
        command = help::short(command, &args);
    }
    let secrets = argument_secrets(env, &args);
    let several = args.iter().skip(1).find_map(|arg| several_words(arg));
    let name = command.get_name().to_owned();
    let parsed = command.try_get_matches_from_mut(&args);
    parsed.map_err(|error| {
        if !error.use_stderr() {
            // Help and version go to stdout; a closed stream changes nothing.
            let _ = error.print();
            return ExitCode::Pass;
        }
        // It quotes the value that it refuses.
        let mut text = Redactor::new(&secrets).redact(&error.render().to_string());
        let hint = renamed(&error, called(&command, &args)).or(several.map(str::to_owned));
        if let Some(hint) = &hint {
            text.push_str(&format!("\nhint: {hint}\n"));
        }
        if secrets.is_empty() && hint.is_none() {
            let _ = error.print();
        } else {
            let _ = std::io::stderr().lock().write_all(text.as_bytes());
        }
        complain::usage(&name, &text, env);
        ExitCode::Usage
    })
}

/// Subcommands and flags that had another name before 1.0.
const RENAMED: &[(&str, &str)] = &[
    ("drilled", "record-drill"),
    ("--anyway", "--ignore-missing"),
    ("--side", "--release-label"),
    ("--starts-within", "--max-start-time"),
    ("--try", "--rehearse"),
    ("--within", "--max-time"),
];

/// The subcommand that the arguments call, as deep as they go.
fn called<'c>(command: &'c Command, args: &[OsString]) -> &'c Command {
    args.iter().skip(1).fold(command, |command, word| {
        command.find_subcommand(word).unwrap_or(command)
    })
}

/// The new name, where an old one was refused and `command` has the new one.
fn renamed(error: &clap::Error, command: &Command) -> Option<String> {
    use clap::error::{ContextKind, ContextValue};
    let kinds = [ContextKind::InvalidSubcommand, ContextKind::InvalidArg];
    let refused = kinds.into_iter().find_map(|kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text),
        _ => None,
    })?;
    let (old, new) = RENAMED.iter().find(|(old, _)| old == refused)?;
    let is_known = match new.strip_prefix("--") {
        Some(long) => command
            .get_arguments()
            .any(|flag| flag.get_long() == Some(long)),
        None => command.find_subcommand(new).is_some(),
    };
    is_known.then(|| format!("`{old}` was renamed to `{new}`"))
}

/// Whether one argument holds several words, as a list of arguments on one line does.
fn several_words(argument: &OsString) -> Option<&'static str> {
    let text = argument.to_str()?;
    let flag = text.split('=').next().unwrap_or_default();
    (text.starts_with('-') && flag.contains(char::is_whitespace)).then_some(
        "this is one argument with spaces in it; the Action's input `args` takes one argument on each line: the flag on one, its value on the next",
    )
}

/// The secrets in the arguments, and in the variables that replace flags.
fn argument_secrets(env: &Env, args: &[OsString]) -> BTreeSet<Secret> {
    let flags = env
        .names()
        .filter(|name| name.starts_with("DEPLOY_GUARD_"))
        .filter_map(|name| env.non_empty(name));
    let args = args.iter().map(|arg| arg.to_string_lossy().into_owned());
    let words: Vec<String> = flags.map(str::to_owned).chain(args).collect();
    config::secrets_in_words(&words.join("\n")).literals
}

/// Runs a stage whose arguments are parsed.
pub fn dispatch<S: Stage>(matches: &ArgMatches, env: &Env) -> ExitCode {
    let parsed = Global::from_arg_matches(matches)
        .and_then(|global| Ok((global, S::from_arg_matches(matches)?)));
    let (global, stage) = match parsed {
        Ok(parsed) => parsed,
        Err(error) => {
            let _ = error.print();
            return ExitCode::Usage;
        }
    };
    if global.format == Format::Prometheus && !stage.writes_series() {
        let failure = Failure::usage("`--format prometheus` is not a format of this action")
            .hint("write `text` or `json`; `incident metrics` writes series for Prometheus");
        return broken::<S>(&failure, env);
    }
    if let Some(told) = stage.offline_output(global.format) {
        if let Some(flag) = unheeded(matches) {
            let failure = Failure::usage(format!("`--{flag}` has no effect here: the command prints to stdout"))
                .hint("leave it out; `--format json` gives it as JSON, and a shell puts it into a file: `> FILE`");
            return broken::<S>(&failure, env);
        }
        return match told {
            Ok(text) => {
                publish::to_stdout(&text, global.color);
                ExitCode::Pass
            }
            Err(failure) => broken::<S>(&failure, env),
        };
    }
    log::start(
        global.quiet,
        global.verbose,
        publish::color_logs(global.color),
    );
    let runtime = match tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => return broken::<S>(&Failure::error(error), env),
    };
    let code = runtime.block_on(supervise(global, stage, env));
    // A blocking look-up or login that outlives its timeout must not hold up the exit.
    runtime.shutdown_background();
    code
}

/// What ends before anything is loaded.
fn broken<S: Stage>(failure: &Failure, env: &Env) -> ExitCode {
    complain(S::NAME, failure, &Redactor::default(), env, Section::Alone)
}

/// A flag on the command line that promises what telling does not do. A variable may be meant for
/// the other steps of a job.
fn unheeded(matches: &ArgMatches) -> Option<&'static str> {
    let given =
        |flag: &&str| matches.value_source(flag) == Some(clap::parser::ValueSource::CommandLine);
    ["report", "html", "summary", "only", "skip"]
        .into_iter()
        .find(given)
}

/// Loads, runs, publishes.
async fn supervise<S: Stage>(global: Global, stage: S, env: &Env) -> ExitCode {
    let started_at = jiff::Timestamp::now();
    let clock = std::time::Instant::now();
    let mut flags = stage.secrets();
    flags.extend(argument_secrets(
        env,
        &std::env::args_os().collect::<Vec<_>>(),
    ));
    // Before anything else: what comes while the configuration is read counts, too.
    let interrupt = match Interrupt::listen() {
        Ok(interrupt) => interrupt,
        Err(error) => return broken::<S>(&Failure::error(error), env),
    };
    let (job, loaded) = match prepare(&global, &stage, env, &flags, interrupt) {
        Ok(prepared) => prepared,
        Err((failure, redactor)) => {
            return complain(S::NAME, &failure, &redactor, env, Section::Alone);
        }
    };
    if let Some(error) = &job.broken {
        // The stage goes on, and the file's mistake is shown as every stage shows it.
        let failure = Failure::from(error.clone());
        complain(S::NAME, &failure, &job.redactor, env, Section::Follows);
    }
    if let Some(path) = &loaded {
        tracing::info!("configuration: {}", path.display());
    }
    let event = stage.event().filter(|_| !job.dry_run);
    let goes_back = stage.goes_back();
    // Both hold the futures of all that they do.
    let running = Box::pin(async {
        tokio::select! {
            biased;
            result = stage.run(&job) => result,
            result = expire(&job.interrupt, S::GRACE) => result,
        }
    });
    let result = match event {
        Some(name) => {
            let telling = Box::pin(job.write_down_early(name, started_at));
            job.telling_early(running, telling).await
        }
        None => running.await,
    };
    job.progress.clear();
    let mut report = match result {
        Ok(report) => report,
        Err(failure) if failure.code == ExitCode::Usage => {
            let section = Section::With(&job.publisher);
            return complain(S::NAME, &failure, &job.redactor, env, section);
        }
        Err(failure) => {
            complain(S::NAME, &failure, &job.redactor, env, Section::Follows);
            failure.report(S::NAME, started_at)
        }
    };
    job.complete(&mut report, clock.elapsed());
    if let Some(name) = event {
        Box::pin(job.write_down(name, goes_back, &mut report)).await;
    }
    let code = match job.interrupt.caught() {
        Some(signal) => signal.exit_code(),
        None => report.verdict.exit_code(),
    };
    job.publisher.publish(&report, code);
    code
}

type Prepared = (Job, Option<std::path::PathBuf>);

fn prepare<S: Stage>(
    global: &Global,
    stage: &S,
    env: &Env,
    flags: &[Secret],
    interrupt: Interrupt,
) -> Result<Prepared, (Failure, Redactor)> {
    let redactor = |secrets: &config::Secrets| {
        let names = secrets.variables.iter();
        let redactor = Redactor::new(names.filter_map(|name| env.secret(name)));
        redactor.add(secrets.literals.iter().chain(flags));
        redactor.add(crate::proxy::secrets(env));
        redactor
    };
    let folder = std::env::current_dir().unwrap_or_else(|_| Path::new(".").to_owned());
    let loaded = config::load(config::Request {
        path: global.config.as_deref(),
        folder: &folder,
        environment: global.environment.as_deref(),
        variables: config::Variables {
            env,
            release: global.release.as_deref(),
        },
        fetch: Some(&crate::inventory::fetch),
    });
    let mut broken = None;
    let loaded = match loaded {
        Ok(loaded) => loaded,
        Err(refusal) if !S::NEEDS_CONFIGURATION => {
            broken = Some(refusal.error);
            config::Loaded {
                config: config::Config::default(),
                path: None,
                secrets: refusal.secrets,
                variables: BTreeSet::new(),
            }
        }
        Err(refusal) => {
            let redactor = redactor(&refusal.secrets);
            let failure = Failure::from(refusal.error);
            return Err((failure, redactor));
        }
    };
    let redactor = redactor(&loaded.secrets);
    log::set_redactor(redactor.clone());
    let mut config = loaded.config.clone();
    let fail = |failure: Failure| (failure, redactor.clone());
    if S::NEEDS_CONFIGURATION {
        config.service().map_err(|error| fail(error.into()))?;
    }
    stage.configure(&mut config).map_err(fail)?;
    if let Some(release) = &global.release {
        check_release("--release", release).map_err(fail)?;
        for rule in config.release_rules() {
            rule.check(release).map_err(|error| {
                let text = format!("`--release` is not a regular expression: {error}");
                fail(Failure::usage(text).hint(
                    "the configuration has `match: regex`; escape what is not a pattern: `v1\\.2`",
                ))
            })?;
        }
    }
    let actions = actions::Context::from_env(env, read_event);
    let publisher = Publisher::new(global, &actions, redactor.clone());
    publisher
        .check(S::PARTS, protected_files(&config, loaded.path.as_deref()))
        .map_err(fail)?;
    let job = Job {
        config,
        inputs: inputs::of(S::NAME, &loaded, env),
        config_path: loaded.path.clone(),
        broken,
        secret_variables: loaded.secrets.variables.clone(),
        within: crate::state::inherited(env),
        env: env.clone(),
        release: global.release.clone(),
        environment: global.environment.clone(),
        only: Selection::new(global.only.clone(), global.skip.clone()),
        dry_run: global.dry_run,
        progress: Progress::new(!global.no_progress && !global.quiet, env, redactor.clone()),
        interrupt,
        publisher,
        actions,
        redactor,
    };
    Ok((job, loaded.path))
}

/// Files that no output may take the place of.
fn protected_files(config: &config::Config, path: Option<&Path>) -> Vec<NamedFile> {
    let mut kept = Vec::new();
    kept.extend(path.map(|path| NamedFile::new("the configuration", path, Use::Kept)));
    let state = config
        .rollback()
        .ok()
        .flatten()
        .map(|section| &section.state);
    if let Some(config::value::StateAddress::File(path)) = state {
        kept.push(NamedFile::new("`rollback.state`", path, Use::Kept));
    }
    kept
}

/// A release travels through environment variables, file names and URLs of other people's tools:
/// what could be mistaken there is refused here.
///
/// # Errors
/// Returns what is wrong with it; `flag` is where it was given.
pub fn check_release(flag: &str, release: &str) -> Result<(), Failure> {
    let problem = if release.is_empty() {
        "it is empty"
    } else if release.len() > 256 {
        "it is longer than 256 bytes"
    } else if release.starts_with('-') {
        "it begins with a dash"
    } else if release.chars().any(char::is_control) {
        "it holds a line break or another control character"
    } else {
        return Ok(());
    };
    Err(
        Failure::usage(format!("`{flag}` cannot be used: {problem}"))
            .hint("name a release such as `v1.2.4` or a commit id"),
    )
}

/// The event file of a pull request names its head repository; it is small, and bounded here.
fn read_event(path: &str) -> Option<String> {
    files::read_text(path.as_ref(), 8 << 20).ok()
}

/// Ends a stage that does not end by itself after a signal.
async fn expire(interrupt: &Interrupt, grace: Duration) -> Result<Report, Failure> {
    interrupt.and(grace).await;
    Err(Failure::error(format!(
        "interrupted, and not done within {}s",
        grace.as_secs()
    )))
}
