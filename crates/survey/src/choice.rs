//! A job that deploys into one of several environments, as a person or a branch chooses: what is read is one of them.

use crate::deployment::{Choice, Environment};
use crate::jobs::Run;
use crate::record::Assembly;
use workflow::inputs::reads;
use workflow::rank::{Rank, rank_of, words};
use workflow::{Fact, Job, Value, expression};

impl Assembly<'_> {
    /// By what the job's environment is chosen; without one, by what its steps are given for production.
    pub(crate) fn choice(
        &self,
        run: &Run,
        job: &Job,
        environment: Option<&Environment>,
    ) -> Option<Choice> {
        if let (Some(environment), Some(text)) = (environment, &job.environment) {
            let written = environment.written.expression()?;
            let filled = Value::new(run.scope.fill(environment.written.text()));
            let several = filled
                .expression()
                .is_some_and(|inner| words(inner).len() > 1);
            let by_person =
                run.scope.matrix.is_empty() && reads(&run.scope.open, written).is_some();
            let at = self.workflows[run.id.workflow].line(text.key_line);
            return (several || by_person).then(|| Choice {
                expression: Fact::new(written.to_owned(), at),
                value: environment.name.value.clone(),
            });
        }
        let texts = job.steps.iter().flat_map(|step| {
            let named = step.with.iter().chain(&step.env).map(|(_, text)| text);
            named.chain(&step.run)
        });
        let texts = job.env.iter().map(|(_, text)| text).chain(texts);
        let found = texts.flat_map(|text| {
            expression::inners(text.value.text()).map(move |inner| (inner.trim(), text.key_line))
        });
        let mut chosen = found.filter_map(|(inner, line)| {
            let simple = !inner.contains(['=', '(', '!', '&', '<', '>']);
            let value = Value::new(run.scope.fill(&format!("${{{{ {inner} }}}}")));
            let value = value
                .literal()
                .filter(|value| rank_of(value) == Rank::Production)?;
            (simple && reads(&run.scope.open, inner) == Some(true)).then(|| Choice {
                expression: Fact::new(inner.to_owned(), self.workflows[run.id.workflow].line(line)),
                value: value.to_owned(),
            })
        });
        chosen.next()
    }
}
