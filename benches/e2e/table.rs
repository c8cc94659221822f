//! The table.

use std::time::Duration;

use crate::options::Options;
use crate::run::Measured;

pub(crate) fn head(options: &Options) {
    let limit = match options.rate {
        0 => "no limit".to_owned(),
        rate => format!("{rate} requests a minute for each operation"),
    };
    let told = if options.told {
        "told to the program"
    } else {
        "not told to the program"
    };
    println!(
        "{} users, {limit}, {told}, files processed for {:?}; program {}\n",
        options.users, options.processing, options.client
    );
    println!(
        "| situation | users | latency ms | faults % | floor s | measured s | ratio | 429 | CPU ms / 1,000 users | CPU us / request | peak MB | emulator CPU s | requests, the fewest where more |"
    );
    println!("|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|---|");
}

pub(crate) fn row(measured: &Measured) {
    let Measured {
        situation,
        users,
        latency,
        faults,
        floor,
        wall,
        cpu,
        served_cpu,
        memory,
        requests,
        limited,
        struck,
        good,
    } = measured;
    let total: u64 = requests.iter().map(|(_, count, _)| count).sum();
    let seconds = Duration::as_secs_f64;
    let told: Vec<String> = requests
        .iter()
        .map(|(name, count, fewest)| match fewest {
            Some(fewest) if fewest != count => format!("{name} {count} ({fewest})"),
            _ => format!("{name} {count}"),
        })
        .chain((*struck > 0).then(|| format!("503 met {struck}")))
        .chain((!good).then(|| "ENDED BADLY".to_owned()))
        .collect();
    println!(
        "| {} | {users} | {} | {faults} | {:.2} | {:.2} | {:.3} | {limited} | {:.1} | {:.0} | {:.1} | {:.1} | {} |",
        situation.name(),
        latency.as_millis(),
        seconds(floor),
        seconds(wall),
        seconds(wall) / seconds(floor).max(1e-9),
        seconds(cpu) * 1e6 / *users as f64,
        seconds(cpu) * 1e6 / total.max(1) as f64,
        *memory as f64 / 1e6,
        seconds(served_cpu),
        told.join(", ")
    );
}

pub(crate) fn foot() {
    println!();
    println!(
        "floor: requests of the most frequent operation / limit + one round trip (+ one file's processing)"
    );
}
