//! Which step of a Dockerfile failed, as BuildKit, the classic builder and Podman tell it.

use model::failed_run::DockerfileStep;

/// The step that failed; the lines are without time and colours.
pub(crate) fn failed_step<'a>(
    lines: impl DoubleEndedIterator<Item = &'a str> + Clone,
) -> Option<DockerfileStep> {
    buildkit_summary(lines.clone())
        .or_else(|| buildkit_vertex(lines.clone()))
        .or_else(|| classic(lines))
}

/// BuildKit repeats the step under a rule: ` > [build 4/7] RUN npm ci:`.
fn buildkit_summary<'a>(lines: impl DoubleEndedIterator<Item = &'a str>) -> Option<DockerfileStep> {
    lines.rev().find_map(|line| {
        let mut step = bracketed(line.trim_start().strip_prefix("> ")?)?;
        if let Some(instruction) = step.instruction.strip_suffix(':') {
            step.instruction = instruction.to_owned();
        }
        Some(step)
    })
}

/// `#12 [build 4/7] RUN npm ci` … `#12 ERROR: process …`
fn buildkit_vertex<'a>(
    lines: impl DoubleEndedIterator<Item = &'a str> + Clone,
) -> Option<DockerfileStep> {
    let number = |line: &'a str| {
        let (number, rest) = line.trim_start().strip_prefix('#')?.split_once(' ')?;
        number
            .bytes()
            .all(|byte| byte.is_ascii_digit())
            .then_some((number, rest))
    };
    let failed = lines.clone().find_map(|line| {
        let (number, rest) = number(line)?;
        rest.starts_with("ERROR").then_some(number)
    })?;
    lines
        .filter_map(number)
        .filter(|(number, _)| *number == failed)
        .find_map(|(_, rest)| bracketed(rest))
}

/// The reference of Dockerfiles, "Overview". They are printed as the file has them, nearly always in capitals.
const INSTRUCTIONS: [&str; 18] = [
    "ADD",
    "ARG",
    "CMD",
    "COPY",
    "ENTRYPOINT",
    "ENV",
    "EXPOSE",
    "FROM",
    "HEALTHCHECK",
    "LABEL",
    "MAINTAINER",
    "ONBUILD",
    "RUN",
    "SHELL",
    "STOPSIGNAL",
    "USER",
    "VOLUME",
    "WORKDIR",
];

/// What the classic builder and Podman end with where a step failed.
const ENDS: [&str; 2] = ["returned a non-zero code", "building at STEP"];

/// `Step 4/9 : RUN npm ci` of the classic builder, `STEP 4/9: RUN npm ci` of Podman: the last one before the error. After
/// it, a build that went well says so. A script counts its own steps in the same way (`Step 3/5: Run the migrations`), so
/// that an instruction in small letters counts only where a builder says that a step failed.
fn classic<'a>(lines: impl DoubleEndedIterator<Item = &'a str>) -> Option<DockerfileStep> {
    let mut is_told = false;
    for line in lines.rev() {
        let line = line.trim();
        is_told |= ENDS.iter().any(|end| line.contains(end));
        if line.starts_with("Successfully built") || line.starts_with("COMMIT ") {
            return None;
        }
        // Podman names the stage first: `[2/2] STEP 4/9: RUN npm ci`.
        let (stage, rest) = match line
            .strip_prefix('[')
            .and_then(|line| line.split_once("] "))
        {
            Some((stage, rest)) => (Some(stage), rest),
            None => (None, line),
        };
        let classic = || rest.strip_prefix("Step ")?.split_once(" : ");
        let podman = || rest.strip_prefix("STEP ")?.split_once(": ");
        let Some((count, instruction)) = classic().or_else(podman) else {
            continue;
        };
        let keyword = instruction.split_whitespace().next().unwrap_or_default();
        let mut known = INSTRUCTIONS.iter();
        let is_known =
            known.any(|known| *known == keyword || is_told && known.eq_ignore_ascii_case(keyword));
        if !is_known {
            continue;
        }
        if let Some((number, of)) = fraction(count.trim()) {
            return Some(DockerfileStep {
                number,
                of,
                stage: stage.map(str::to_owned),
                instruction: instruction.trim().to_owned(),
            });
        }
    }
    None
}

/// `[linux/amd64 build 4/7] RUN npm ci`. What BuildKit does beside the Dockerfile has no number:
/// `[internal] load metadata for …`.
fn bracketed(text: &str) -> Option<DockerfileStep> {
    let (inner, instruction) = text.strip_prefix('[')?.split_once(']')?;
    let mut words: Vec<&str> = inner.split_whitespace().collect();
    let (number, of) = fraction(words.pop()?)?;
    // The platform comes first, where there are several.
    let stage = words.iter().rev().find(|word| !word.contains('/'));
    let instruction = instruction.trim();
    (!instruction.is_empty()).then(|| DockerfileStep {
        number,
        of,
        stage: stage.map(|stage| (*stage).to_owned()),
        instruction: instruction.to_owned(),
    })
}

fn fraction(text: &str) -> Option<(u32, u32)> {
    let (number, of) = text.split_once('/')?;
    let (number, of) = (number.trim().parse().ok()?, of.trim().parse().ok()?);
    (0 < number && number <= of).then_some((number, of))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(log: &str) -> Option<(u32, u32, Option<String>, String)> {
        let step = failed_step(log.lines())?;
        Some((step.number, step.of, step.stage, step.instruction))
    }

    fn step(number: u32, of: u32, stage: &str, text: &str) -> (u32, u32, Option<String>, String) {
        let stage = (!stage.is_empty()).then(|| stage.to_owned());
        (number, of, stage, text.to_owned())
    }

    #[test]
    fn each_builder_tells_the_step() {
        let buildkit = "#1 [internal] load build definition from Dockerfile\n#1 DONE 0.0s\n\
            #9 [build 3/7] COPY package.json .\n#9 DONE 0.1s\n#10 [build 4/7] RUN npm ci\n\
            #10 0.523 npm ERR! code EUSAGE\n#10 ERROR: process \"/bin/sh -c npm ci\" did not complete successfully: exit code: 1\n\
            ------\n > [build 4/7] RUN npm ci:\n0.523 npm ERR! code EUSAGE\n------\nDockerfile:9\n";
        assert_eq!(told(buildkit), Some(step(4, 7, "build", "RUN npm ci")));
        let without_summary = buildkit.split("------").next().unwrap();
        assert_eq!(
            told(without_summary),
            Some(step(4, 7, "build", "RUN npm ci"))
        );
        let plain = "#7 [2/3] COPY missing .\n#7 ERROR: failed to calculate checksum of ref x: \"/missing\": not found\n";
        assert_eq!(told(plain), Some(step(2, 3, "", "COPY missing .")));
        let platforms = " > [linux/arm64 stage-1 5/6] RUN make:\n";
        assert_eq!(told(platforms), Some(step(5, 6, "stage-1", "RUN make")));
        let classic = "Step 3/9 : COPY . .\n ---> 1\nStep 4/9 : RUN npm ci\n ---> Running in 5d\n\
            The command '/bin/sh -c npm ci' returned a non-zero code: 1\n";
        assert_eq!(told(classic), Some(step(4, 9, "", "RUN npm ci")));
        let podman =
            "[2/2] STEP 4/9: RUN npm ci\nError: building at STEP \"RUN npm ci\": exit status 1\n";
        assert_eq!(told(podman), Some(step(4, 9, "2/2", "RUN npm ci")));
    }

    #[test]
    fn a_script_that_counts_its_steps_is_no_builder() {
        for log in [
            "Step 2/5: Copy configuration\nStep 3/5: Run database migrations\nerror: no such table\n",
            "Step 2/3: Run new containers\n",
            "Step 2/4 : Add item to cart\nFAIL: 502\n",
            "STEP 2/3: run unit tests\nFAILED tests/a.py\n",
            "Step 3/5: RUN THE MIGRATIONS\n",
        ] {
            assert_eq!(told(log), None, "{log}");
        }
        // A Dockerfile in small letters.
        let classic =
            "Step 2/3 : run npm ci\nThe command '/bin/sh -c npm ci' returned a non-zero code: 1\n";
        assert_eq!(told(classic), Some(step(2, 3, "", "run npm ci")));
        let podman =
            "STEP 2/3: run npm ci\nError: building at STEP \"RUN npm ci\": exit status 1\n";
        assert_eq!(told(podman), Some(step(2, 3, "", "run npm ci")));
    }

    #[test]
    fn what_went_well_or_is_no_step_is_none() {
        assert_eq!(
            told("Step 4/4 : CMD x\nSuccessfully built 5d\nError: later\n"),
            None
        );
        let metadata = "#3 [internal] load metadata for docker.io/library/node:20\n#3 ERROR: failed to do request\n";
        assert_eq!(told(metadata), None);
        assert_eq!(
            told("#x ERROR\n# 1\n > []\n > [0/0] x:\nStep 9/4 : x\nStep : x\n"),
            None
        );
    }
}
