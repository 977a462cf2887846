//! Blue-green behind nginx: one upstream file names the colour that gets the traffic.
//!
//! `nginx -s reload` ends with 0 while the old configuration stays in force, so only requests
//! through nginx prove a switch; without that proof the file is put back.

use std::io::Read as _;
use std::pin::Pin;
use std::time::{Duration, Instant};

use cli::Job;
use config::file::NginxTarget;
use remote::local::{Captured, Script};

use super::{Asking, Move, Place, Question, Step, Target};

/// An upstream file is a few lines.
const MAX_SIZE: u64 = 1 << 20;
/// Right answers in a row, each over a fresh connection, that prove a switch: workers of before
/// the reload may still accept for a moment.
const PROOFS: u32 = 5;
/// Between two requests of the proof.
const PAUSE: Duration = Duration::from_millis(10);

pub(crate) struct Nginx<'a> {
    config: &'a NginxTarget,
    question: Question,
}

impl<'a> Nginx<'a> {
    pub(crate) fn new(config: &'a NginxTarget, job: &Job) -> Result<Self, String> {
        let question = Question::of(config.release.as_ref(), job, "nginx")?;
        Ok(Nginx { config, question })
    }

    fn read(&self) -> Result<String, String> {
        let path = &self.config.upstream_file;
        let mut text = String::new();
        std::fs::File::open(path)
            .and_then(|file| file.take(MAX_SIZE).read_to_string(&mut text))
            .map_err(|error| format!("failed to read {}: {error}", path.display()))?;
        Ok(text)
    }

    /// The release that is served through nginx. Shortly after a reload workers of before it may
    /// still answer, so it is `likely` only if the file's own colour and every answer say so.
    async fn served(&self, likely: &str) -> Result<String, String> {
        let timeout = self.config.timeout.get();
        let text = self.read()?;
        let active = &text[server(&text, &self.config.blue, &self.config.green)?];
        let named = self.question.ask(Some(active), likely, timeout).await;
        if let Ok(release) = named
            && release != likely
        {
            return Ok(release);
        }
        for _ in 0..PROOFS {
            let release = self.question.ask(None, likely, timeout).await?;
            if release != likely {
                return Ok(release);
            }
            tokio::time::sleep(PAUSE).await;
        }
        Ok(likely.to_owned())
    }

    fn step(&self, moving: Move<'_>) -> Step {
        Step {
            place: Place::Here,
            name: "nginx/switch".to_owned(),
            does: format!(
                "point {} to the colour that runs {}, test, reload, prove through {}",
                self.config.upstream_file.display(),
                moving.destination,
                self.question.url
            ),
        }
    }

    async fn planned(&self, moving: Move<'_>) -> Result<String, String> {
        let address = self.colour_of(moving.destination).await?;
        let text = self.read()?;
        let switched = rewrite(&text, &self.config.blue, &self.config.green, &address)?;
        let mut does = self.step(moving).does;
        if switched == text {
            does.push_str(" (the file already names it)");
        }
        Ok(does)
    }

    /// The address of the colour that runs this release.
    async fn colour_of(&self, release: &str) -> Result<String, String> {
        let timeout = self.config.timeout.get();
        let (blue, green) = tokio::join!(
            self.question.ask(Some(&self.config.blue), release, timeout),
            self.question
                .ask(Some(&self.config.green), release, timeout),
        );
        for (address, answer) in [(&self.config.blue, &blue), (&self.config.green, &green)] {
            if answer.as_deref() == Ok(release) {
                return Ok(address.clone());
            }
        }
        let say = |answer: Result<String, String>| match answer {
            Ok(release) => format!("runs {release}"),
            Err(reason) => format!("cannot be asked ({reason})"),
        };
        Err(format!(
            "no colour runs {release}: blue {} {}, green {} {}",
            self.config.blue,
            say(blue),
            self.config.green,
            say(green)
        ))
    }

    /// Switches and proves. On an error the file is `before` again, and nginx has it.
    async fn switch(&self, moving: Move<'_>, before: Option<&str>) -> Result<String, String> {
        let address = self.colour_of(moving.destination).await?;
        let text = self.read()?;
        let before = before.unwrap_or(&text);
        let switched = rewrite(&text, &self.config.blue, &self.config.green, &address)?;
        if switched != text {
            self.write(&switched)?;
        }
        let result = self.reload_and_prove(moving.destination).await;
        match result {
            Ok(proof) => Ok(format!("{address} has the traffic; {proof}")),
            Err(reason) => Err(match self.restore(before).await {
                Ok(done) => format!("{reason}; {done}"),
                Err(error) => format!("{reason}; {error}"),
            }),
        }
    }

    async fn restore(&self, before: &str) -> Result<String, String> {
        let path = self.config.upstream_file.display();
        self.write(before)
            .map_err(|error| format!("putting {path} back failed too: {error}"))?;
        match self.command(&self.config.reload).await {
            Ok(_) => Ok(format!("{path} was put back")),
            Err(error) => Err(format!(
                "{path} was put back, but nginx did not read it: {error}"
            )),
        }
    }

    fn write(&self, text: &str) -> Result<(), String> {
        let path = &self.config.upstream_file;
        state::atomic::replace(path, text.as_bytes())
            .map_err(|error| format!("failed to write {}: {error}", path.display()))
    }

    async fn reload_and_prove(&self, destination: &str) -> Result<String, String> {
        self.command(&self.config.test).await?;
        self.command(&self.config.reload).await?;
        let deadline = Instant::now() + self.config.timeout.get();
        let (mut proofs, mut last) = (0, String::new());
        while proofs < PROOFS {
            if Instant::now() >= deadline {
                return Err(format!(
                    "after the reload nginx does not serve {destination}: {last} (within {} s)",
                    self.config.timeout.get().as_secs_f32()
                ));
            }
            let left = deadline.saturating_duration_since(Instant::now());
            match self.question.ask(None, destination, left).await {
                Ok(release) if release == destination => proofs += 1,
                Ok(release) => (proofs, last) = (0, format!("{release} answers")),
                // A question that the deadline cut off says less than the answer before it.
                Err(_) if Instant::now() >= deadline && !last.is_empty() => {}
                Err(reason) => (proofs, last) = (0, reason),
            }
            tokio::time::sleep(PAUSE).await;
        }
        Ok(self.proven(destination))
    }

    fn proven(&self, destination: &str) -> String {
        format!(
            "{PROOFS} requests in a row through {} were answered by {destination}",
            self.question.url
        )
    }

    async fn command(&self, text: &str) -> Result<Captured, String> {
        let script = Script {
            text,
            env: Vec::new(),
            timeout: self.config.timeout.get(),
        };
        let captured = remote::local::run(&script, &mut |_, _| ())
            .await
            .map_err(|error| format!("`{text}` could not be started: {error}"))?;
        if captured.success() {
            Ok(captured)
        } else {
            Err(format!("`{text}`: {}: {}", captured.exit, captured.tail()))
        }
    }
}

impl Target for Nginx<'_> {
    fn steps(&self, moving: Move<'_>) -> Vec<Step> {
        vec![self.step(moving)]
    }

    fn current<'a>(&'a self, _step: &'a Step, likely: &'a str) -> Asking<'a, Option<String>> {
        Box::pin(async move { self.served(likely).await.map(Some) })
    }

    fn plan<'a>(&'a self, _step: &'a Step, moving: Move<'a>) -> Asking<'a, String> {
        Box::pin(self.planned(moving))
    }

    fn before<'a>(&'a self, _step: &'a Step, _moving: Move<'a>) -> Asking<'a, Option<String>> {
        Box::pin(async move { self.read().map(Some) })
    }

    fn act<'a>(
        &'a self,
        _step: &'a Step,
        moving: Move<'a>,
        before: Option<&'a str>,
    ) -> Asking<'a, String> {
        Box::pin(self.switch(moving, before))
    }

    fn undo<'a>(
        &'a self,
        _step: &'a Step,
        _moving: Move<'a>,
        before: Option<&'a str>,
    ) -> Asking<'a, String> {
        Box::pin(async move {
            let before = before.ok_or("nobody wrote down what the file held before")?;
            self.restore(before).await
        })
    }

    fn undoes(&self) -> bool {
        true
    }

    fn proof<'a>(
        &'a self,
        destination: &'a str,
    ) -> Pin<Box<dyn Future<Output = Option<String>> + 'a>> {
        Box::pin(async move { Some(self.proven(destination)) })
    }
}

/// The text with the address in its one `server` line replaced by `to`; everything else stays as
/// its author wrote it.
fn rewrite(text: &str, blue: &str, green: &str, to: &str) -> Result<String, String> {
    let range = server(text, blue, green)?;
    Ok(format!(
        "{}{to}{}",
        &text[..range.start],
        &text[range.end..]
    ))
}

/// Where the one `server` line with a colour's address has that address.
fn server(text: &str, blue: &str, green: &str) -> Result<std::ops::Range<usize>, String> {
    let mut found = Vec::new();
    let mut offset = 0;
    for line in text.split_inclusive('\n') {
        let code = line.split('#').next().unwrap_or_default();
        for (at, _) in code.match_indices("server") {
            let before = code[..at].chars().next_back();
            let rest = &code[at + "server".len()..];
            if before.is_some_and(|c| !c.is_whitespace() && !matches!(c, '{' | ';' | '}'))
                || !rest.starts_with(char::is_whitespace)
            {
                continue;
            }
            let address = rest.trim_start();
            let length = address
                .find(|c: char| c.is_whitespace() || c == ';')
                .unwrap_or(address.len());
            if [blue, green].contains(&&address[..length]) {
                let start = offset + at + "server".len() + (rest.len() - address.len());
                found.push(start..start + length);
            }
        }
        offset += line.len();
    }
    match found.as_slice() {
        [range] => Ok(range.clone()),
        [] => Err(format!(
            "the upstream file has no `server` line with {blue} or {green}"
        )),
        several => Err(format!(
            "the upstream file has {} `server` lines with {blue} or {green}, one is needed",
            several.len()
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_address_changes() {
        let rewrite =
            |text: &str| rewrite(text, "127.0.0.1:8001", "127.0.0.1:8002", "127.0.0.1:8001");
        assert_eq!(
            rewrite("# server 127.0.0.1:8001;\nupstream shop {\n\tserver  127.0.0.1:8002 max_fails=0; # green\n}\n").as_deref(),
            Ok("# server 127.0.0.1:8001;\nupstream shop {\n\tserver  127.0.0.1:8001 max_fails=0; # green\n}\n")
        );
        assert_eq!(
            rewrite("upstream a {server 127.0.0.1:8002;server backup:1;}").as_deref(),
            Ok("upstream a {server 127.0.0.1:8001;server backup:1;}")
        );
        assert!(rewrite("upstream a { server 127.0.0.1:80011; }").is_err());
        assert!(rewrite("upstream a { server 127.0.0.1:8001; server 127.0.0.1:8002; }").is_err());
        assert!(rewrite("").is_err());
    }
}
