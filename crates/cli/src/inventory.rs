//! Reads what `hosts-from` names: a file, or what a program prints.

use std::path::Path;
use std::time::Duration;

use inventory::{Error, InventorySource, MAX_MIB};
use remote::local::{Exit, FullOutput, Script, full_output};
use remote::quote;

/// The text of an inventory.
pub(crate) fn fetch(way: InventorySource<'_>, timeout: Duration) -> Result<Vec<u8>, Error> {
    match way {
        InventorySource::File(path) => file(path),
        InventorySource::Command(text) => program("hosts-from.command", text, timeout),
        // Ansible takes a file that is not there for an inventory without hosts; `web-01,` is one in itself.
        InventorySource::Ansible(path)
            if !path.exists() && !path.as_os_str().as_encoded_bytes().contains(&b',') =>
        {
            Err(Error::Unreadable {
                path: path.to_owned(),
                reason: "there is no such file".to_owned(),
            })
        }
        InventorySource::Ansible(path) => {
            let path = quote(&path.display().to_string());
            let text = format!("exec ansible-inventory --list -i {path}");
            program("ansible-inventory", &text, timeout)
        }
    }
}

fn file(path: &Path) -> Result<Vec<u8>, Error> {
    files::read_handed(path, MAX_MIB << 20).map_err(|error| match error.kind() {
        std::io::ErrorKind::FileTooLarge => Error::Large(MAX_MIB),
        _ => Error::Unreadable {
            path: path.to_owned(),
            reason: error.to_string(),
        },
    })
}

fn program(name: &str, text: &str, timeout: Duration) -> Result<Vec<u8>, Error> {
    let not_started = |reason: String| Error::NotStarted {
        program: name.to_owned(),
        reason,
    };
    let script = Script {
        text,
        env: Vec::new(),
        timeout,
    };
    // The configuration is read where a runtime waits for it, which cannot wait for two things.
    let ran = std::thread::scope(|scope| {
        let work = || {
            let mut runtime = tokio::runtime::Builder::new_current_thread();
            let runtime = runtime.enable_all().build()?;
            runtime.block_on(full_output(&script, MAX_MIB << 20))
        };
        let ended = scope.spawn(work).join();
        ended.unwrap_or_else(|_| Err(std::io::Error::other("it was not waited for")))
    });
    let FullOutput {
        exit,
        stdout,
        is_cut,
        tail,
    } = ran.map_err(|error| not_started(error.to_string()))?;
    if is_cut {
        return Err(Error::Large(MAX_MIB));
    }
    match exit {
        Exit::Code(0) => Ok(stdout),
        Exit::Code(127) => Err(not_started("it is not installed".to_owned())),
        exit => Err(Error::Ended {
            program: name.to_owned(),
            exit: exit.to_string(),
            tail,
        }),
    }
}
