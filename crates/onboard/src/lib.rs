//! A repository's first hour: `init` writes its configuration and workflow, `doctor` tells what here
//! would stop each stage.

pub mod doctor;
pub mod init;
mod survey;
