//! The texts of an incident: alert, update and resolution, as the runbook words them.

use std::path::Path;

use sections::incident::IncidentTemplates;

use crate::Facts;
use crate::template::{Error, Output, Template};

/// The templates in use.
#[derive(Clone)]
pub struct Texts {
    initial_alert: Template,
    update: Template,
    resolution: Template,
}

impl Texts {
    /// Those of the program, and files in their place; `folder` is where their paths begin.
    pub fn load(templates: &IncidentTemplates, folder: &Path) -> Result<Texts, Error> {
        let IncidentTemplates {
            initial_alert,
            update,
            resolution,
        } = templates;
        let load = |file: Option<&Path>, ours| match file {
            Some(file) => Template::read(folder, file, Output::Text),
            None => Template::ours(ours, Output::Text),
        };
        Ok(Texts {
            initial_alert: load(
                initial_alert.as_deref(),
                include_str!("templates/initial-alert.txt.j2"),
            )?,
            update: load(update.as_deref(), include_str!("templates/update.txt.j2"))?,
            resolution: load(
                resolution.as_deref(),
                include_str!("templates/resolution.txt.j2"),
            )?,
        })
    }

    /// Makes each text, once with all that may be known and once with nothing: what is wrong with a template is found
    /// before an incident.
    ///
    /// # Errors
    /// Returns why a text could not be made.
    pub fn prove(&self) -> Result<(), Error> {
        for facts in [Facts::sample(), Facts::default()] {
            self.initial_alert(&facts)?;
            self.update(&facts)?;
            self.resolution(&facts)?;
        }
        Ok(())
    }

    /// When an incident is opened.
    pub fn initial_alert(&self, facts: &Facts) -> Result<String, Error> {
        filled(&self.initial_alert, facts)
    }

    /// When something changes in it.
    pub fn update(&self, facts: &Facts) -> Result<String, Error> {
        filled(&self.update, facts)
    }

    /// When it is resolved.
    pub fn resolution(&self, facts: &Facts) -> Result<String, Error> {
        filled(&self.resolution, facts)
    }
}

fn filled(template: &Template, facts: &Facts) -> Result<String, Error> {
    let text = template.render(facts)?;
    Ok(text.trim().to_owned())
}
