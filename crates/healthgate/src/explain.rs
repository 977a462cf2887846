//! `healthgate explain`: a report as a story.

mod narrative;
pub(crate) mod read;
mod text;
mod turning_points;
mod words;

use std::path::PathBuf;

use cli::{Failure, Format};

/// Which report.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Flags {
    /// The report, as `--report` wrote it; `-` reads it from stdin
    #[arg(value_name = "REPORT")]
    file: PathBuf,
}

impl Flags {
    /// The story. Nothing is asked, and whatever the report's verdict is, telling it succeeds.
    pub(crate) fn render(&self, format: Format) -> Result<String, Failure> {
        let story = narrative::build_story(&read::report(&self.file)?);
        match format {
            Format::Text | Format::Prometheus => Ok(text::render(&story)),
            Format::Json => serde_json::to_string_pretty(&story)
                .map(|json| json + "\n")
                .map_err(Failure::error),
        }
    }
}
