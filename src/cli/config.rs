//! `bowline config`: the resolved model, as `docker compose config` prints it.

use super::Common;
use super::target::Target;
use crate::manifest::{Request, Resolved, resolve};
use crate::source;
use anyhow::Context;
use clap::{Args, ValueEnum};
use serde_json::Value;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// The name of the file that stands for what is piped in.
const STDIN: &str = "-";

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    target: Target,
    /// A compose file, instead of PATH; each next one is laid over those before, `-` is standard
    /// input.
    #[arg(long, short = 'f', value_name = "FILE")]
    file: Vec<PathBuf>,
    /// What relative paths are relative to [default: the directory of the first file]
    #[arg(long, value_name = "DIR")]
    project_directory: Option<PathBuf>,
    /// The form of the output.
    #[arg(long, value_enum, default_value_t = Format::Json)]
    format: Format,
    /// Leave the names of variables as they are.
    #[arg(long)]
    no_interpolate: bool,
    /// Do not check that the parts fit together.
    #[arg(long)]
    no_consistency: bool,
    #[command(flatten)]
    list: Lists,
}

/// Names to print instead of the model, one a line.
#[derive(Debug, Args)]
struct Lists {
    /// Print the names of the services.
    #[arg(long)]
    services: bool,
    /// Print the names of the volumes.
    #[arg(long)]
    volumes: bool,
    /// Print the names of the networks.
    #[arg(long)]
    networks: bool,
    /// Print the images of the services.
    #[arg(long)]
    images: bool,
    /// Print the profiles that services ask for.
    #[arg(long)]
    profiles: bool,
    /// Print the variables that the files name, and what stands for them.
    #[arg(long = "variables", id = "print_variables")]
    variables: bool,
}

/// A form of output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// A compose file.
    Yaml,
    /// For programs.
    Json,
}

pub(super) fn run(common: &Common, arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let (request, stdin) = request(common, arguments)?;
    let read = |path: &Path| match &stdin {
        Some((name, bytes)) if name == path => Ok(bytes.clone()),
        _ => source::read_within(&request.roots, path),
    };
    match resolve(&request, &read) {
        Ok(resolved) => {
            anstream::eprint!("{}", resolved.warnings.render(super::validate::colored()));
            print(arguments, &resolved)?;
            Ok(ExitCode::SUCCESS)
        }
        Err(problems) => {
            anstream::eprint!("{}", problems.render(super::validate::colored()));
            Ok(ExitCode::FAILURE)
        }
    }
}

/// What is piped in, under the name that the request has for it.
type Piped = Option<(PathBuf, Vec<u8>)>;

fn request(common: &Common, arguments: &Arguments) -> anyhow::Result<(Request, Piped)> {
    let here = std::env::current_dir().context("cannot tell the current directory")?;
    let mut piped = None;
    let mut request = if arguments.file.is_empty() {
        arguments.target.only_request(common)?
    } else {
        arguments.target.request_for(&here, &arguments.file)?
    };
    if arguments.file.iter().any(|file| file == Path::new(STDIN)) {
        let mut bytes = Vec::new();
        std::io::stdin().read_to_end(&mut bytes).context("cannot read standard input")?;
        piped = Some((here.join(STDIN), bytes));
    }
    if let Some(directory) = &arguments.project_directory {
        request.project_directory = Some(here.join(directory));
    }
    request.interpolate = !arguments.no_interpolate;
    request.consistency = !arguments.no_consistency;
    Ok((request, piped))
}

fn print(arguments: &Arguments, resolved: &Resolved) -> anyhow::Result<()> {
    let lists = &arguments.list;
    let mut lines = Vec::new();
    for (wanted, section) in
        [(lists.services, "services"), (lists.volumes, "volumes"), (lists.networks, "networks")]
    {
        if wanted {
            lines.extend(keys(&resolved.config[section]));
        }
    }
    if lists.images {
        lines.extend(images(&resolved.config));
    }
    if lists.profiles {
        lines.extend(resolved.declared.profiles.iter().cloned());
    }
    if lists.variables {
        for (name, variable) in &resolved.declared.variables {
            let required = variable.required.then(|| " required".to_owned());
            let shown = |what: &str, value: &Option<String>| {
                value.as_ref().map(|value| format!(" {what}={value:?}"))
            };
            let default = shown("default", &variable.default);
            let alternate = shown("alternate", &variable.alternate);
            let rest: Vec<_> = [required, default, alternate].into_iter().flatten().collect();
            let line = format!("{name}{}", rest.concat());
            lines.push(line);
        }
    }
    let asked = [
        lists.services,
        lists.volumes,
        lists.networks,
        lists.images,
        lists.profiles,
        lists.variables,
    ];
    if asked.contains(&true) {
        for line in lines {
            println!("{line}");
        }
        return Ok(());
    }
    let text = match arguments.format {
        Format::Json => serde_json::to_string_pretty(&resolved.config)? + "\n",
        Format::Yaml => serde_yaml::to_string(&resolved.document)?,
    };
    // As Compose does, so that what is printed is a compose file of the same model.
    let text = if arguments.no_interpolate { text } else { text.replace('$', "$$") };
    print!("{text}");
    Ok(())
}

fn keys(section: &Value) -> Vec<String> {
    section.as_object().into_iter().flatten().map(|(key, _)| key.clone()).collect()
}

/// The image of each service; one that is built without a name has its own.
fn images(config: &Value) -> Vec<String> {
    let project = config["name"].as_str().unwrap_or_default();
    let services = config["services"].as_object().into_iter().flatten();
    services
        .filter(|(_, service)| service.get("provider").is_none())
        .map(|(name, service)| {
            let own = || format!("{project}-{name}");
            service["image"].as_str().map_or_else(own, str::to_owned)
        })
        .collect()
}
