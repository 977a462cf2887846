//! Everything that is written, in one place: stdout, report file, summary, outputs, annotations.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use model::{Redactor, Report};
use rustix::fs::OFlags;

use crate::args::{Color, Format, Global};
use crate::text;

/// Where reports go. The report that comes in is redacted here, so that no writer can forget it.
#[derive(Clone, Debug)]
pub struct Publisher {
    format: Format,
    color: Color,
    quiet: bool,
    report_file: Option<PathBuf>,
    html_file: Option<PathBuf>,
    summary_file: Option<PathBuf>,
    output_file: Option<PathBuf>,
    in_actions: bool,
    redactor: Redactor,
}

impl Publisher {
    pub(crate) fn new(global: &Global, context: &actions::Context, redactor: Redactor) -> Self {
        Publisher {
            format: global.format,
            color: global.color,
            quiet: global.quiet,
            report_file: global.report.clone(),
            html_file: global.html.clone(),
            summary_file: global.summary.clone().or_else(|| context.summary.clone()),
            output_file: context.output.clone(),
            in_actions: context.in_actions,
            redactor,
        }
    }

    /// Refuses a report file that cannot be written, before anything is asked or changed.
    pub(crate) fn check(&self) -> Result<(), String> {
        let files = [&self.report_file, &self.html_file];
        for path in files.into_iter().flatten() {
            writable(path).map_err(|reason| {
                format!("cannot write the report to {}: {reason}", path.display())
            })?;
        }
        if self.summary_file.as_deref() == Some(Path::new("-")) {
            return Err(format!("cannot write the summary: {NO_FILE}"));
        }
        match files {
            [Some(report), Some(html)] if report == html && !is_stream(report) => Err(format!(
                "cannot write two reports to {}: one would be lost",
                report.display()
            )),
            _ => Ok(()),
        }
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

    /// Whether stdout is for people.
    pub fn is_text(&self) -> bool {
        self.format == Format::Text
    }

    /// Writes a stage's final report everywhere.
    pub(crate) fn publish(&self, report: &Report) {
        let report = report.clone().redacted(&self.redactor);
        let file = self
            .report_file
            .as_deref()
            .and_then(|path| write_report(path, &document(&report)));
        if let Some(path) = &self.html_file {
            write_report(path, &page::render(&report));
        }
        self.summarize(&report);
        if self.in_actions {
            to_stderr(&actions::command::annotations(&report));
        }
        if let Some(path) = &self.output_file {
            let file = file.as_ref().map(|path| path.display().to_string());
            let masked = |value: &str| self.redactor.masks(value);
            append(
                path,
                &actions::output::outputs(&report, file.as_deref(), masked),
            );
        }
        match self.format {
            Format::Text => to_stdout(&text::render(&report, self.quiet), self.color),
            Format::Json => to_stdout(&document(&report), self.color),
        }
    }

    /// Shows the report of one stage within a longer run: text, summary and, with a report file,
    /// a file of its own. Outputs, annotations and JSON on stdout belong to the whole run.
    pub fn show_part(&self, report: &Report) {
        let report = report.clone().redacted(&self.redactor);
        if let Some(path) = self.stage_report(&report.stage) {
            write_report(&path, &document(&report));
        }
        if let Some(path) = self.stage_page(&report.stage) {
            write_report(&path, &page::render(&report));
        }
        self.summarize(&report);
        if self.is_text() {
            to_stdout(&text::render(&report, self.quiet), self.color);
        }
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

    fn summarize(&self, report: &Report) {
        let Some(path) = &self.summary_file else {
            return;
        };
        let new = actions::summary::render(report);
        let limit = actions::summary::LIMIT;
        // One step has one summary and one limit, however many stages it runs.
        let mut whole = String::new();
        // Nothing can be read back from a terminal or a pipe, and waiting for it has no end.
        if !is_stream(path)
            && let Ok(file) = File::open(path)
        {
            let mut old = Vec::new();
            let _ = file.take(4 * limit as u64).read_to_end(&mut old);
            whole = String::from_utf8_lossy(&old).into_owned();
        }
        if whole.len() + new.len() <= limit {
            append(path, &new);
            return;
        }
        whole.push_str(&new);
        let fitted = actions::summary::fit(&whole, limit);
        if is_stream(path) {
            append(path, &fitted);
        } else {
            replace(path, &fitted);
        }
    }
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
    // A reader that went away (`| head`) is no failure of ours. The verdict stands either way.
    if let Err(error) = written
        && error.kind() != std::io::ErrorKind::BrokenPipe
    {
        tracing::error!("failed to write to stdout: {error}");
    }
}

/// Whoever closed stderr does not want to read it.
fn to_stderr(text: &str) {
    let _ = std::io::stderr().lock().write_all(text.as_bytes());
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
fn document(report: &Report) -> String {
    let view = model::report::v1::Report::from(report);
    // The view holds text, numbers and lists only, which JSON can always say.
    serde_json::to_string_pretty(&view)
        .map(|json| json + "\n")
        .unwrap_or_default()
}

fn folder_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
        _ => PathBuf::from("."),
    }
}

/// A device, a pipe, a socket: written to as it is, and never replaced by a file.
fn is_stream(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|found| !found.is_file() && !found.is_dir())
}

const NO_FILE: &str = "`-` is no file: stdout has what `--format` says";

/// Opens one for writing. A pipe that nobody reads would hold us up for ever: it is an error.
fn stream(path: &Path) -> std::io::Result<File> {
    let at_once = OFlags::NONBLOCK;
    let file = OpenOptions::new()
        .append(true)
        .custom_flags(i32::try_from(at_once.bits()).unwrap_or_default())
        .open(path)?;
    // Whoever reads may take their time.
    rustix::fs::fcntl_setfl(&file, OFlags::APPEND)?;
    Ok(file)
}

/// Whether a report can be written there.
fn writable(path: &Path) -> Result<(), String> {
    if path.is_dir() {
        return Err("it is a folder".to_owned());
    }
    if path == Path::new("-") {
        return Err(NO_FILE.to_owned());
    }
    // `/dev/stdout` of a redirected program: the link itself would be replaced.
    let passed_on = ["/dev", "/proc"].iter().any(|all| path.starts_with(all));
    if passed_on && path.is_symlink() && path.is_file() {
        return Err("it stands for another file: name that one".to_owned());
    }
    if is_stream(path) {
        return Ok(());
    }
    let tried = tempfile::NamedTempFile::new_in(folder_of(path));
    tried.map(drop).map_err(|error| error.to_string())
}

/// Writes a report, to a file whole or not at all.
fn write_report(path: &Path, document: &str) -> Option<PathBuf> {
    let written = if is_stream(path) {
        stream(path).and_then(|mut stream| stream.write_all(document.as_bytes()))
    } else {
        replaced(path, document)
    };
    match written {
        Ok(()) => Some(path.to_owned()),
        Err(error) => {
            tracing::error!("failed to write the report to {}: {error}", path.display());
            None
        }
    }
}

fn replaced(path: &Path, text: &str) -> std::io::Result<()> {
    let mut file = tempfile::Builder::new()
        .prefix(".report-")
        .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644))
        .tempfile_in(folder_of(path))?;
    file.write_all(text.as_bytes())?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    Ok(())
}

fn append(path: &Path, text: &str) {
    let opened = if is_stream(path) {
        stream(path)
    } else {
        OpenOptions::new().create(true).append(true).open(path)
    };
    let written = opened.and_then(|mut file| file.write_all(text.as_bytes()));
    if let Err(error) = written {
        tracing::warn!("failed to write to {}: {error}", path.display());
    }
}

fn replace(path: &Path, text: &str) {
    // Written in place: the runner made this file and looks for it under this inode's name.
    let written = OpenOptions::new()
        .write(true)
        .truncate(true)
        .open(path)
        .and_then(|mut file| file.write_all(text.as_bytes()));
    if let Err(error) = written {
        tracing::warn!("failed to write to {}: {error}", path.display());
    }
}
