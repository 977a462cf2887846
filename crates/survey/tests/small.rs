//! A small repository, read.

use survey::{Deployment, Survey, look};

pub(crate) fn read(files: &[(&str, &str)]) -> Survey {
    look(testkit::repository(files).path()).unwrap()
}

/// A workflow that pushes to main start, with one job of these steps.
pub(crate) fn steps(text: &str) -> String {
    format!(
        "on: {{ push: {{ branches: [main] }} }}\njobs:\n  live:\n    runs-on: ubuntu-latest\n    steps:\n{text}"
    )
}

pub(crate) fn only(survey: &Survey) -> &Deployment {
    let [one] = &survey.deployments[..] else {
        panic!("{:#?}", survey.deployments);
    };
    one
}
