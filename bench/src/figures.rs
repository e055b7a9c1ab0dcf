//! Figures: what is measured, in which unit, and how several rounds become one.

use std::collections::BTreeMap;

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Metric {
    /// Operations in a second.
    Rate,
    /// The server's CPU time for an operation, in nanoseconds.
    Cpu,
    /// Half of the operations took at most so long, in microseconds.
    P50,
    /// 99 of 100 operations took at most so long, in microseconds.
    P99,
    /// 999 of 1000 operations took at most so long, in microseconds.
    P999,
    /// Megabytes of a download in a second.
    Download,
    /// Bytes of the server's memory for each thing that it keeps.
    Memory,
    /// Megabytes of the server's memory at its highest, less what it had when it was empty and the record.
    Above,
    /// Megabytes of the server's memory at its highest, less what it had before the load.
    Grown,
    /// The median round trip of a patch, in microseconds.
    PatchP50,
    /// The 99th percentile of a patch's round trip, in microseconds.
    PatchP99,
    /// The longest round trip of a patch, in microseconds.
    PatchMax,
    /// The 99th percentile of another client's PING, in microseconds.
    PingP99,
    /// The longest PING of another client, in microseconds.
    PingMax,
    /// The same where nobody patches.
    QuietP99,
    /// The same where nobody patches.
    QuietMax,
    /// The server's CPU time for a joiner, in milliseconds.
    JoinerCpu,
    /// That time relative to that of a joiner on a record that nobody patches.
    JoinerRatio,
    /// How much of its time the server was running, in percent of one core.
    ServerBusy,
    /// How much of its time the load was running, in percent of one core; where there are several, the busiest.
    LoadBusy,
}

impl Metric {
    /// All of them, in the order of columns.
    pub(crate) const ALL: [Self; 20] = [
        Self::Rate,
        Self::Cpu,
        Self::P50,
        Self::P99,
        Self::P999,
        Self::Download,
        Self::Memory,
        Self::Above,
        Self::Grown,
        Self::PatchP50,
        Self::PatchP99,
        Self::PatchMax,
        Self::PingP99,
        Self::PingMax,
        Self::QuietP99,
        Self::QuietMax,
        Self::JoinerCpu,
        Self::JoinerRatio,
        Self::ServerBusy,
        Self::LoadBusy,
    ];

    /// The head of its column. `each` is what is counted.
    pub(crate) fn title(self, each: &str) -> String {
        match self {
            Self::Rate if each.ends_with("ch") => format!("{each}es/s"),
            Self::Rate => format!("{each}s/s"),
            Self::Cpu => format!("CPU for each {each}, ns"),
            Self::P50 => "50 %, µs".into(),
            Self::P99 => "99 %, µs".into(),
            Self::P999 => "99.9 %, µs".into(),
            Self::Download => "download, MB/s".into(),
            Self::Memory => format!("bytes for each {each}"),
            Self::Above => "above the record, MB".into(),
            Self::Grown => "growth, MB".into(),
            Self::PatchP50 => "patch 50 %, µs".into(),
            Self::PatchP99 => "patch 99 %, µs".into(),
            Self::PatchMax => "patch max, µs".into(),
            Self::PingP99 => "PING 99 %, µs".into(),
            Self::PingMax => "PING max, µs".into(),
            Self::QuietP99 => "unpatched: PING 99 %, µs".into(),
            Self::QuietMax => "unpatched: PING max, µs".into(),
            Self::JoinerCpu => format!("CPU for each {each}, ms"),
            Self::JoinerRatio => "CPU, relative to unpatched".into(),
            Self::ServerBusy => "server busy, %".into(),
            Self::LoadBusy => "load busy, %".into(),
        }
    }

    /// Its name in JSON.
    pub(crate) fn key(self) -> &'static str {
        match self {
            Self::Rate => "rate_per_s",
            Self::Cpu => "cpu_ns",
            Self::P50 => "p50_us",
            Self::P99 => "p99_us",
            Self::P999 => "p99_9_us",
            Self::Download => "download_mb_per_s",
            Self::Memory => "memory_bytes",
            Self::Above => "memory_above_record_mb",
            Self::Grown => "memory_growth_mb",
            Self::PatchP50 => "patch_p50_us",
            Self::PatchP99 => "patch_p99_us",
            Self::PatchMax => "patch_max_us",
            Self::PingP99 => "ping_p99_us",
            Self::PingMax => "ping_max_us",
            Self::QuietP99 => "unpatched_ping_p99_us",
            Self::QuietMax => "unpatched_ping_max_us",
            Self::JoinerCpu => "joiner_cpu_ms",
            Self::JoinerRatio => "joiner_cpu_relative_to_unpatched",
            Self::ServerBusy => "server_busy_percent",
            Self::LoadBusy => "load_busy_percent",
        }
    }

    /// Whether it may be zero.
    pub(crate) fn may_be_zero(self) -> bool {
        matches!(self, Self::Above | Self::Grown)
    }

    /// A value of it as people read it.
    pub(crate) fn show(self, value: f64) -> String {
        let digits = match self {
            Self::JoinerRatio => 2,
            Self::Above | Self::Grown | Self::JoinerCpu | Self::Download if value < 100.0 => 1,
            Self::P50 | Self::P99 | Self::P999 if value < 100.0 => 1,
            _ => 0,
        };
        grouped(value, digits)
    }
}

/// A number with its thousands apart.
fn grouped(value: f64, digits: usize) -> String {
    let text = format!("{value:.digits$}");
    let (whole, rest) = text.split_once('.').map_or((&text[..], None), |(whole, rest)| (whole, Some(rest)));
    let mut shown = String::new();
    for (place, digit) in whole.chars().enumerate() {
        if place > 0 && digit.is_ascii_digit() && (whole.len() - place) % 3 == 0 && whole.len() > 4 {
            shown.push(' ');
        }
        shown.push(digit);
    }
    if let Some(rest) = rest {
        shown.push('.');
        shown.push_str(rest);
    }
    shown
}

/// What one round has measured.
pub(crate) type Figures = BTreeMap<Metric, f64>;

/// The median; `None` of nothing.
pub(crate) fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let (low, high) = (values.len().checked_sub(1)? / 2, values.len() / 2);
    Some(f64::midpoint(values[low], values[high]))
}

/// The median of each metric over the rounds.
pub(crate) fn medians(rounds: &[Figures]) -> Figures {
    let of =
        |metric| Some((metric, median(rounds.iter().filter_map(|f| f.get(&metric).copied()).collect())?));
    Metric::ALL.into_iter().filter_map(of).collect()
}

/// The CPU time for an operation relative to the floor's: the median of the rounds' ratios, since what disturbs a round
/// disturbs all contenders in it.
pub(crate) fn ratio(rounds: &[Figures], floor: &[Figures]) -> Option<f64> {
    let pairs = rounds.iter().zip(floor);
    median(pairs.filter_map(|(own, floor)| Some(own.get(&Metric::Cpu)? / floor.get(&Metric::Cpu)?)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_one_in_the_middle_or_between_the_two() {
        assert_eq!(median(vec![3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(vec![4.0, 1.0, 2.0, 3.0]), Some(2.5));
        assert_eq!(median(vec![]), None);
    }

    #[test]
    fn ratios_are_taken_round_by_round() {
        let rounds = |values: &[f64]| -> Vec<Figures> {
            values.iter().map(|value| Figures::from([(Metric::Cpu, *value)])).collect()
        };
        assert_eq!(ratio(&rounds(&[2.0, 40.0, 6.0]), &rounds(&[1.0, 20.0, 1.0])), Some(2.0));
        assert_eq!(ratio(&[Figures::new()], &rounds(&[1.0])), None);
    }

    #[test]
    fn numbers_are_shown_with_their_thousands_apart() {
        assert_eq!(grouped(1_234_567.8, 0), "1 234 568");
        assert_eq!(grouped(9999.0, 0), "9999");
        assert_eq!(grouped(12345.67, 1), "12 345.7");
        assert_eq!(grouped(0.25, 1), "0.2");
    }
}
