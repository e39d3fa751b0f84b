//! Settings of the secondary market.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Trading between investors.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Market {
    /// How far from the best price a market order goes at most, in hundredths of a per cent.
    pub collar_bps: u16,
    /// Days that an order without another end waits at most.
    pub gtc_days: u32,
    /// What is different for some instruments.
    pub instruments: Vec<MarketRules>,
}

/// What is different for an instrument.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct MarketRules {
    /// Which.
    pub instrument_id: String,
    /// Prices are whole multiples of it, a decimal of the currency for one whole token; its smallest unit where absent.
    pub tick: Option<String>,
    /// When its market opens each day, UTC; always open where absent.
    pub opens: Option<DayTime>,
    /// When it closes.
    pub closes: Option<DayTime>,
}

/// A time of day, UTC: `09:30`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DayTime {
    /// Minutes since midnight, below 1,440.
    minutes: u16,
}

impl DayTime {
    /// Seconds since midnight.
    #[must_use]
    pub fn seconds(self) -> u64 {
        u64::from(self.minutes) * 60
    }

    fn parse(text: &str) -> Option<Self> {
        let (hours, minutes) = text.split_once(':')?;
        let number = |text: &str| if text.len() == 2 { text.parse::<u16>().ok() } else { None };
        let (hours, minutes) = (number(hours)?, number(minutes)?);
        (hours < 24 && minutes < 60).then_some(Self { minutes: hours * 60 + minutes })
    }
}

impl Default for Market {
    fn default() -> Self {
        Self { collar_bps: 500, gtc_days: 90, instruments: Vec::new() }
    }
}

impl Serialize for DayTime {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{:02}:{:02}", self.minutes / 60, self.minutes % 60))
    }
}

impl<'de> Deserialize<'de> for DayTime {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let wrong = || serde::de::Error::custom(format!("{text:?} is no time of day: write it as 09:30, UTC"));
        Self::parse(&text).ok_or_else(wrong)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_of_day_is_two_digits_and_two_digits() {
        assert_eq!(DayTime::parse("09:30").map(DayTime::seconds), Some(34_200));
        assert_eq!(DayTime::parse("23:59").map(DayTime::seconds), Some(86_340));
        for bad in ["24:00", "9:30", "09:60", "0930", "", "-1:00", "09:3x"] {
            assert_eq!(DayTime::parse(bad), None, "{bad}");
        }
    }
}
