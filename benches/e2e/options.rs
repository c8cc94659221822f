//! What can be asked of the harness.

use std::time::Duration;

use crate::situation::Situation;

pub(crate) const HELP: &str = "\
usage: cargo bench --bench e2e -- [options] [situation…]

situations: creates-pictures creates renames pictures refresh list (all of them)
  --users N         users of a world                      [1000]
  --rate N          requests a minute of each operation; 0 for no limit [6000]
  --latency MS,…    time that every answer takes          [20,100,300]
  --faults PCT,…    requests in a hundred that meet a 503 [0,1]
  --processing MS   how long Whop looks at a file         [1000]
  --untold          the emulator sends no limit headers, and the program is not told the limit
  --quick           200 users, 20 ms, no faults
  --client PATH     another build of the program, for before and after
  --keep            leave the worlds in the folder that is named";

/// One invocation.
pub(crate) enum Job {
    Help,
    /// The emulator's own process.
    Serve(Serve),
    Measure(Options),
}

pub(crate) struct Options {
    pub(crate) situations: Vec<Situation>,
    pub(crate) users: usize,
    pub(crate) rate: u32,
    pub(crate) latencies: Vec<Duration>,
    pub(crate) faults: Vec<u8>,
    pub(crate) processing: Duration,
    pub(crate) told: bool,
    pub(crate) client: String,
    pub(crate) keep: bool,
}

/// How the emulator is served.
#[derive(Default)]
pub(crate) struct Serve {
    pub(crate) port: u16,
    pub(crate) rate: u32,
    pub(crate) latency: u64,
    pub(crate) faults: u8,
    pub(crate) processing: u64,
    pub(crate) headers: bool,
    /// A folder with a manifest that is applied before anything is served.
    pub(crate) world: Option<String>,
}

pub(crate) fn parse(arguments: impl Iterator<Item = String>) -> Result<Job, String> {
    let mut options = Options {
        situations: Vec::new(),
        users: 1000,
        rate: 6000,
        latencies: [20, 100, 300].map(Duration::from_millis).to_vec(),
        faults: vec![0, 1],
        processing: Duration::from_secs(1),
        told: true,
        client: env!("CARGO_BIN_EXE_whop-sync").to_owned(),
        keep: false,
    };
    let mut serve = None;
    let mut arguments = arguments;
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or(format!("{argument} needs a value"));
        match argument.as_str() {
            "--help" | "-h" => return Ok(Job::Help),
            // Given by cargo to every bench.
            "--bench" => {}
            "--serve" => serve = Some(parse_serve(&value()?)?),
            "--users" => options.users = number(&value()?)?,
            "--rate" => options.rate = number(&value()?)?,
            "--latency" => {
                options.latencies = list(&value()?)?.into_iter().map(Duration::from_millis).collect();
            }
            "--faults" => options.faults = list(&value()?)?,
            "--processing" => options.processing = Duration::from_millis(number(&value()?)?),
            "--untold" => options.told = false,
            "--quick" => {
                options.users = 200;
                options.latencies = vec![Duration::from_millis(20)];
                options.faults = vec![0];
            }
            "--client" => options.client = value()?,
            "--keep" => options.keep = true,
            name => options
                .situations
                .push(Situation::parse(name).ok_or(format!("there is no situation or option `{name}`"))?),
        }
    }
    if options.situations.is_empty() {
        options.situations = Situation::ALL.to_vec();
    }
    Ok(serve.map_or(Job::Measure(options), Job::Serve))
}

impl Serve {
    /// As one argument, for the process itself.
    pub(crate) fn to_argument(&self) -> String {
        let Self {
            port,
            rate,
            latency,
            faults,
            processing,
            headers,
            world,
        } = self;
        let world = world.as_deref().unwrap_or_default();
        format!(
            "{port},{rate},{latency},{faults},{processing},{},{world}",
            u8::from(*headers)
        )
    }
}

fn parse_serve(text: &str) -> Result<Serve, String> {
    let parts: Vec<&str> = text.splitn(7, ',').collect();
    let [port, rate, latency, faults, processing, headers, world] = parts[..] else {
        return Err("--serve is the harness's own".to_owned());
    };
    Ok(Serve {
        port: number(port)?,
        rate: number(rate)?,
        latency: number(latency)?,
        faults: number(faults)?,
        processing: number(processing)?,
        headers: headers == "1",
        world: Some(world.to_owned()).filter(|world| !world.is_empty()),
    })
}

fn number<T: std::str::FromStr>(text: &str) -> Result<T, String> {
    text.parse()
        .map_err(|_| format!("`{text}` is no number, or too large"))
}

fn list<T: std::str::FromStr>(text: &str) -> Result<Vec<T>, String> {
    text.split(',').map(number).collect()
}
