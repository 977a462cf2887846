//! Everything that is written, in one place: stdout, report file, summary, outputs, annotations.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use model::{ExitCode, Redactor, Report};
use rustix::fs::OFlags;
use state::atomic::{self, Owner};

use crate::args::{Color, Format, Global};
use crate::files::{self, NamedFile, Use};
use crate::repository::in_repository;
use crate::{Failure, text};

/// Where reports go. The report that comes in is redacted here, so that no writer can forget it.
#[derive(Clone, Debug)]
pub struct Publisher {
    format: Format,
    color: Color,
    quiet: bool,
    report_file: Option<PathBuf>,
    html_file: Option<PathBuf>,
    summary_file: Option<PathBuf>,
    /// Its name for people.
    summary_name: &'static str,
    output_file: Option<PathBuf>,
    in_actions: bool,
    /// The repository's root.
    workspace: Option<PathBuf>,
    redactor: Redactor,
    /// Of a run of several stages.
    parts: Arc<Mutex<Parts>>,
}

/// What the stages of a longer run have left until now.
#[derive(Debug, Default)]
struct Parts {
    /// By the name of their phase, redacted.
    reports: Vec<(String, Report)>,
    /// Where in the summary file our section begins, and what it is.
    section: Option<(u64, String)>,
}

impl Publisher {
    pub(crate) fn new(global: &Global, context: &actions::Context, redactor: Redactor) -> Self {
        Publisher {
            format: global.format,
            color: global.color,
            quiet: global.quiet,
            report_file: global.report.clone(),
            html_file: global.html.clone(),
            summary_name: match global.summary {
                Some(_) => "`--summary`",
                None => "`$GITHUB_STEP_SUMMARY`",
            },
            summary_file: global.summary.clone().or_else(|| context.summary.clone()),
            output_file: context.output.clone(),
            in_actions: context.in_actions,
            workspace: context.workspace.clone(),
            redactor,
            parts: Arc::default(),
        }
    }

    /// Refuses a report file that cannot be written, and two outputs that are one file, before
    /// anything is asked or changed. `parts` have reports of their own; `kept` is what we read.
    pub(crate) fn check(&self, parts: &[&str], kept: Vec<NamedFile>) -> Result<(), Failure> {
        const HINT: &str = "name a file in a folder that exists and can be written";
        self.all_writable()
            .map_err(|error| Failure::usage(error.to_string()).hint(HINT))?;
        let mut files = kept;
        for part in parts {
            let report = self.stage_report(part).map(|path| ("report", path));
            let page = self.stage_page(part).map(|path| ("html", path));
            files.extend(report.into_iter().chain(page).map(|(flag, path)| {
                let name = format!("what {part} writes beside `--{flag}`");
                NamedFile::new(name, path, Use::Replaced)
            }));
        }
        let named = |name: &str, path: &Option<PathBuf>, how| {
            path.as_ref().map(|path| NamedFile::new(name, path, how))
        };
        files.extend(named("`--report`", &self.report_file, Use::Replaced));
        files.extend(named("`--html`", &self.html_file, Use::Replaced));
        files.extend(named(self.summary_name, &self.summary_file, Use::Appended));
        files.extend(named("`$GITHUB_OUTPUT`", &self.output_file, Use::Appended));
        files.extend(
            [("stdout", "/dev/stdout"), ("stderr", "/dev/stderr")]
                .map(|(name, path)| NamedFile::new(name, path, Use::Stream)),
        );
        files::distinct(&files)
    }

    fn all_writable(&self) -> Result<(), OutputError> {
        let files = [&self.report_file, &self.html_file];
        for path in files.into_iter().flatten() {
            writable(path).map_err(|cause| OutputError::Report {
                path: path.clone(),
                cause,
            })?;
        }
        if self.summary_file.as_deref() == Some(Path::new("-")) {
            return Err(OutputError::Summary(OutputPathError::Stdout));
        }
        Ok(())
    }

    /// Where a stage of a longer run keeps its own report: the run's report file with the
    /// stage's name, `report.json` beside `report.healthgate.json`.
    pub fn stage_report(&self, stage: &str) -> Option<PathBuf> {
        self.report_file
            .as_ref()
            .map(|path| path.with_extension(format!("{stage}.json")))
    }

    /// The same for its page.
    fn stage_page(&self, stage: &str) -> Option<PathBuf> {
        self.html_file
            .as_ref()
            .map(|path| path.with_extension(format!("{stage}.html")))
    }

    /// Where the report is written, as it can be found from another folder.
    pub fn report_place(&self) -> Option<String> {
        self.report_file.as_deref().map(absolute_path)
    }

    /// What stdout is wanted to be.
    pub fn format(&self) -> Format {
        self.format
    }

    /// Whether stdout is for people.
    pub fn is_text(&self) -> bool {
        self.format == Format::Text
    }

    /// Writes a stage's final report everywhere. `code` is what the program ends with: after a signal
    /// it is not the verdict's.
    pub(crate) fn publish(&self, report: &Report, code: ExitCode) {
        let report = report.clone().redacted(&self.redactor);
        let file = self
            .report_file
            .as_deref()
            .and_then(|path| write_report(path, &document(&report)));
        let written = report.written.as_ref();
        let mut parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
        let of_run = !parts.reports.is_empty();
        if let Some(path) = &self.html_file {
            let page = if of_run {
                let pages = parts.reports.iter().filter_map(|(phase, report)| {
                    let page = self.stage_page(&report.stage)?;
                    Some((phase.clone(), page.file_name()?.to_str()?.to_owned()))
                });
                page::entry(&report, &pages.collect::<Vec<_>>())
            } else if let Some(page) = written.and_then(|written| written.html.clone()) {
                page
            } else {
                page::render(&report)
            };
            write_report(path, &page);
        }
        let summary = if let Some(written) = written {
            if written.is_markdown {
                written.text.clone()
            } else {
                actions::summary::fenced(&written.text)
            }
        } else if of_run {
            actions::summary::run(&report, &parts.reports)
        } else {
            actions::summary::render(&report)
        };
        self.summarize(summary, &mut parts.section);
        drop(parts);
        if self.in_actions {
            let workspace = self.workspace.as_deref();
            let in_repository = |file: &str| in_repository(Path::new(file), workspace);
            to_stderr(&actions::command::annotations(&report, in_repository));
        }
        if let Some(path) = &self.output_file {
            let file = file.map(|path| absolute_path(&path));
            let masked = |value: &str| self.redactor.masks(value);
            append(
                path,
                &actions::output::outputs(&report, code, file.as_deref(), masked),
            );
        }
        // The document on stdout does not have them. In a workflow the annotations do.
        if written.is_some() && !self.in_actions {
            let problems = text::problems(&report);
            to_stderr(&anstream::adapter::strip_str(&problems).to_string());
        }
        match self.format {
            Format::Text | Format::Prometheus => match written {
                Some(written) => to_stdout(&written.text, self.color),
                None => to_stdout(&text::render(&report, self.quiet), self.color),
            },
            Format::Json => match written.and_then(|written| written.json.as_ref()) {
                Some(json) => to_stdout(json, self.color),
                None => to_stdout(&document(&report), self.color),
            },
        }
    }

    /// Shows the report of one stage within a longer run: text, summary and, with a report file,
    /// a file of its own. Outputs, annotations and JSON on stdout belong to the whole run, whose
    /// outcome `run/PHASE` covers this stage too.
    pub fn show_part(&self, phase: &str, report: &Report) {
        let report = report.clone().redacted(&self.redactor);
        if let Some(path) = self.stage_report(&report.stage) {
            write_report(&path, &document(&report));
        }
        if let Some(path) = self.stage_page(&report.stage) {
            write_report(&path, &page::render(&report));
        }
        if self.is_text() {
            to_stdout(&text::render(&report, self.quiet), self.color);
        }
        let mut parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
        parts.reports.push((phase.to_owned(), report));
        // A stream cannot be written anew: it gets the whole at the end.
        if self
            .summary_file
            .as_deref()
            .is_some_and(|path| !is_stream(path))
        {
            let summary = actions::summary::so_far(&parts.reports);
            self.summarize(summary, &mut parts.section);
        }
    }

    /// Writes the section of what ended without a report, and the stages before it.
    pub(crate) fn broke_off(&self, section: String) {
        let mut parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
        let summary = section + &actions::summary::stages(&parts.reports);
        self.summarize(summary, &mut parts.section);
    }

    /// A line that a command printed, forwarded to stderr: redacted, and fenced as a whole by
    /// [`Publisher::fence`].
    pub fn forward(&self, line: &str) {
        to_stderr(&format!(
            "{}\n",
            text::plain(&self.redactor.redact(line), 0)
        ));
    }

    /// Keeps the runner from reading commands in what is forwarded until the returned text is
    /// given to [`Publisher::unfence`].
    pub fn fence(&self, title: &str) -> Option<String> {
        if !self.in_actions {
            return None;
        }
        let token = actions::command::token();
        let title = text::plain(&self.redactor.redact(title), 0).replace('\n', " ");
        to_stderr(&format!("::group::{title}\n::stop-commands::{token}\n"));
        Some(token)
    }

    /// Ends a fence.
    pub fn unfence(&self, token: Option<String>) {
        if let Some(token) = token {
            to_stderr(&format!("::{token}::\n::endgroup::\n"));
        }
    }

    /// Puts a section behind what the summary holds, or in the place of the one before.
    fn summarize(&self, new: String, section: &mut Option<(u64, String)>) {
        let Some(path) = &self.summary_file else {
            return;
        };
        let limit = actions::summary::LIMIT;
        if is_stream(path) {
            append(path, &actions::summary::fit(&new, limit));
            return;
        }
        // One step has one summary and one limit, however many stages it runs.
        let mut old = Vec::new();
        if let Ok(file) = ::files::open(path) {
            let _ = file.take(4 * limit as u64).read_to_end(&mut old);
        }
        // What others have put behind our section since then stays behind it.
        let ours = section.take().and_then(|(at, text)| {
            let at = usize::try_from(at).ok()?;
            let until = at + text.len();
            (old.get(at..until)? == text.as_bytes()).then_some(at..until)
        });
        let at = ours.as_ref().map_or(old.len(), |ours| ours.start);
        let behind = ours.map(|ours| old.split_off(ours.end)).unwrap_or_default();
        old.truncate(at);
        if old.len() + new.len() + behind.len() <= limit {
            let ends_here = |file: std::fs::Metadata| file.len() == at as u64;
            if behind.is_empty() && path.metadata().map_or(true, ends_here) {
                append(path, &new);
            } else {
                overwrite(path, at as u64, &[new.as_bytes(), &behind].concat());
            }
            *section = Some((at as u64, new));
            return;
        }
        let whole = [&old, new.as_bytes(), &behind].concat();
        let fitted = actions::summary::fit(&String::from_utf8_lossy(&whole), limit);
        overwrite(path, 0, fitted.as_bytes());
    }
}

/// A path as a later step finds it, which may run in another folder.
fn absolute_path(path: &Path) -> String {
    let whole = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    whole.display().to_string()
}

/// Text on stdout, coloured where that is wanted.
pub(crate) fn to_stdout(text: &str, color: Color) {
    let choice = match color {
        Color::Auto => anstream::AutoStream::choice(&std::io::stdout()),
        Color::Always => anstream::ColorChoice::Always,
        Color::Never => anstream::ColorChoice::Never,
    };
    let mut stdout = anstream::AutoStream::new(std::io::stdout().lock(), choice);
    let written = stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush());
    // A reader that went away (`| head`) is not our failure. The verdict does not change.
    if let Err(error) = written
        && error.kind() != std::io::ErrorKind::BrokenPipe
    {
        tracing::error!("failed to write to stdout: {error}");
    }
}

/// Data for a pipe. A reader that went away is not a failure; any other write error is.
pub fn write_stdout(text: &str) -> ExitCode {
    let mut stdout = anstream::AutoStream::auto(std::io::stdout().lock());
    let written = stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush());
    match written {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            let text = format!(
                "error: failed to write to stdout: {error}\n\nhint: is the disk full? `df -h`\n"
            );
            let _ = std::io::stderr().lock().write_all(text.as_bytes());
            ExitCode::Error
        }
        _ => ExitCode::Pass,
    }
}

/// A closed stderr has no reader, so errors are ignored.
fn to_stderr(text: &str) {
    crate::screen::aside(|| {
        let _ = std::io::stderr().lock().write_all(text.as_bytes());
    });
}

/// Whether logs may be coloured.
pub(crate) fn color_logs(color: Color) -> bool {
    match color {
        Color::Always => true,
        Color::Never => false,
        // By the rules of stdout: `NO_COLOR`, `CLICOLOR`, `TERM`.
        Color::Auto => {
            anstream::AutoStream::choice(&std::io::stderr()) != anstream::ColorChoice::Never
        }
    }
}

/// The report as one JSON document.
pub(crate) fn document(report: &Report) -> String {
    let view = model::report::v1::Report::from(report);
    // The view holds text, numbers and lists only, which JSON can always say.
    serde_json::to_string_pretty(&view)
        .map(|json| json + "\n")
        .unwrap_or_default()
}

/// A device, a pipe, a socket: written to as it is, and never replaced by a file.
fn is_stream(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|found| !found.is_file() && !found.is_dir())
}

/// An output that cannot be written.
#[derive(Debug, thiserror::Error)]
enum OutputError {
    #[error("cannot write the report to {}: {cause}", path.display())]
    Report {
        path: PathBuf,
        cause: OutputPathError,
    },
    #[error("cannot write the summary: {0}")]
    Summary(OutputPathError),
}

/// Why nothing can be written there.
#[derive(Debug, thiserror::Error)]
enum OutputPathError {
    #[error("it is a folder")]
    Folder,
    #[error("`-` is not a file: stdout has what `--format` names")]
    Stdout,
    #[error("it is a link to another file: name that file")]
    Link,
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

/// Opens one for writing. A pipe without a reader would block us forever, so it is an error.
fn stream(path: &Path) -> std::io::Result<File> {
    let at_once = OFlags::NONBLOCK;
    let file = OpenOptions::new()
        .append(true)
        .custom_flags(i32::try_from(at_once.bits()).unwrap_or_default())
        .open(path)?;
    // The reader may take its time.
    rustix::fs::fcntl_setfl(&file, OFlags::APPEND)?;
    Ok(file)
}

/// Whether a report can be written there.
fn writable(path: &Path) -> Result<(), OutputPathError> {
    if path.is_dir() {
        return Err(OutputPathError::Folder);
    }
    if path == Path::new("-") {
        return Err(OutputPathError::Stdout);
    }
    // `/dev/stdout` of a redirected program: the link itself would be replaced.
    let passed_on = ["/dev", "/proc"].iter().any(|all| path.starts_with(all));
    if passed_on && path.is_symlink() && path.is_file() {
        return Err(OutputPathError::Link);
    }
    if is_stream(path) {
        return Ok(());
    }
    let file = atomic::destination(path);
    tempfile::NamedTempFile::new_in(atomic::folder(&file))?;
    Ok(())
}

/// Writes a report, to a file whole or not at all.
fn write_report(path: &Path, document: &str) -> Option<PathBuf> {
    let written = if is_stream(path) {
        stream(path).and_then(|mut stream| stream.write_all(document.as_bytes()))
    } else {
        atomic::replace_unsynced(path, document.as_bytes())
    };
    match written {
        Ok(()) => Some(path.to_owned()),
        Err(error) => {
            tracing::error!("failed to write the report to {}: {error}", path.display());
            None
        }
    }
}

/// A file that is made here belongs to the owner of its folder: a person works with `sudo` on what a
/// runner's user writes at the next deployment.
fn open_to_append(path: &Path) -> std::io::Result<File> {
    let owner = Owner::of_new(path);
    let file = OpenOptions::new().create(true).append(true).open(path)?;
    if let Some(owner) = owner {
        owner.give_to(&file);
    }
    Ok(file)
}

pub(crate) fn append(path: &Path, text: &str) {
    let opened = if is_stream(path) {
        stream(path)
    } else {
        open_to_append(path)
    };
    let written = opened.and_then(|mut file| file.write_all(text.as_bytes()));
    if let Err(error) = written {
        tracing::warn!("failed to write to {}: {error}", path.display());
    }
}

/// Writes the content from this byte on. In place: the runner created this file and reads it by
/// its inode. The old end is cut off last, so that a kill leaves too much and not too little.
fn overwrite(path: &Path, from: u64, bytes: &[u8]) {
    let written = OpenOptions::new()
        .write(true)
        .open(path)
        .and_then(|mut file| {
            file.seek(SeekFrom::Start(from))?;
            file.write_all(bytes)?;
            file.set_len(from + bytes.len() as u64)
        });
    if let Err(error) = written {
        tracing::warn!("failed to write to {}: {error}", path.display());
    }
}
