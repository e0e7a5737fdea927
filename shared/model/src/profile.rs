//! Device profiles: what a kind of device speaks, and the settings its bytes do not tell.
//!
//! A message names its profile (by the callback's path, or by the listener it came in at), so nothing on the write path
//! has to look a device up. What is the single meter's own, litres per pulse or an offset, is applied when reading.
//!
//! They are in one file for people, `shared/model/profiles.toml`, which is compiled in. `shared/model/profiles.schema.json` says the same of its
//! form to editors.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::Deserialize;

use crate::codec::{CODECS, Codec, CodecSettings};
use crate::device::Network;
use crate::uplink::ProfileName;

/// Every profile, in the order of their names.
#[expect(clippy::expect_used, reason = "the file is compiled in, and a test reads it")]
pub static PROFILES: LazyLock<Vec<Profile>> =
    LazyLock::new(|| parse(include_str!("../profiles.toml")).expect("profiles.toml is right"));

/// A kind of device.
#[derive(Debug)]
pub struct Profile {
    /// What callbacks and listeners call it.
    pub name: &'static str,
    /// The network it speaks over.
    pub network: Network,
    /// What its bytes mean.
    pub codec: &'static Codec,
    /// What the codec has to know besides.
    pub settings: CodecSettings,
    /// How its callbacks are written. (NB-IoT has none.)
    pub callbacks: Callbacks,
}

/// What a device type's callbacks do not tell of themselves: the customer types both into the Sigfox back end.
#[derive(Debug)]
pub struct Callbacks {
    /// The line pattern of its `BATCH_URL` callbacks of the kind DATA / UPLINK.
    pub uplink_line: &'static str,
    /// The same of the kind DATA / BIDIR. Without `{ack}` in it nobody gets a downlink.
    pub bidir_line: &'static str,
    /// Names in its templates that only it has, each with Sigfox's own name for the variable.
    pub aliases: Vec<(&'static str, &'static str)>,
}

impl Default for Callbacks {
    /// As `docs/sigfox.md` says to type them in.
    fn default() -> Self {
        Self {
            uplink_line: "{device};{time};{data};{seqNumber}",
            bidir_line: "{device};{time};{data};{seqNumber};{ack}",
            aliases: vec![],
        }
    }
}

impl Profile {
    /// Its name, as an uplink carries it.
    pub fn uplink_name(&self) -> ProfileName {
        ProfileName::of_profile(self.name)
    }

    /// The bits of the device's counters, if anybody knows.
    pub fn counter_bits(&self) -> Option<u8> {
        self.settings.counter_bits.or(self.codec.counter_bits)
    }
}

/// The profile of that name on that network.
pub fn find(network: Network, name: &str) -> Option<&'static Profile> {
    PROFILES.iter().find(|profile| profile.network == network && profile.name == name)
}

/// An entry of the file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    network: Network,
    codec: String,
    #[serde(default)]
    settings: CodecSettings,
    #[serde(default)]
    callbacks: CallbackEntry,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct CallbackEntry {
    uplink_line: Option<String>,
    bidir_line: Option<String>,
    aliases: BTreeMap<String, String>,
}

/// What is wrong with a file of profiles.
#[derive(Debug, thiserror::Error)]
pub enum ProfileError {
    /// Not the form.
    #[error(transparent)]
    Form(#[from] toml::de::Error),
    /// Not a name.
    #[error(transparent)]
    Name(#[from] crate::uplink::UplinkError),
    /// No such codec.
    #[error("profile {profile}: there is no codec {codec:?} (there are: {known})", known = known_codecs())]
    Codec {
        /// Scope.
        profile: String,
        /// What it names.
        codec: String,
    },
    /// A setting that no device can have.
    #[error("profile {profile}: {reason}")]
    Setting {
        /// Scope.
        profile: String,
        /// What is wrong with it.
        reason: String,
    },
}

/// Reads a file of profiles. They stay in memory for ever.
///
/// # Errors
/// [`ProfileError`] at the first that is wrong.
pub fn parse(text: &str) -> Result<Vec<Profile>, ProfileError> {
    toml::from_str::<BTreeMap<String, Entry>>(text)?.into_iter().map(|(name, entry)| entry.profile(name)).collect()
}

fn known_codecs() -> String {
    CODECS.iter().map(|codec| codec.name).collect::<Vec<_>>().join(", ")
}

impl Entry {
    fn profile(self, name: String) -> Result<Profile, ProfileError> {
        name.parse::<ProfileName>()?;
        let Some(codec) = CODECS.iter().find(|codec| codec.name == self.codec) else {
            return Err(ProfileError::Codec { profile: name, codec: self.codec });
        };
        if let Some(reason) = self.settings.fault(codec) {
            return Err(ProfileError::Setting { profile: name, reason });
        }
        Ok(Profile {
            name: forever(name),
            network: self.network,
            codec,
            settings: self.settings,
            callbacks: self.callbacks.callbacks(),
        })
    }
}

impl CallbackEntry {
    fn callbacks(self) -> Callbacks {
        let default = Callbacks::default();
        Callbacks {
            uplink_line: self.uplink_line.map_or(default.uplink_line, forever),
            bidir_line: self.bidir_line.map_or(default.bidir_line, forever),
            aliases: self.aliases.into_iter().map(|(name, of)| (forever(name), forever(of))).collect(),
        }
    }
}

/// Profiles are there as long as the process is.
fn forever(text: String) -> &'static str {
    text.leak()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        parse(text).unwrap_err().to_string()
    }

    #[test]
    fn the_file_is_right_and_every_codec_has_a_profile() {
        let profiles = parse(include_str!("../profiles.toml")).unwrap_or_else(|e| panic!("{e}"));
        for codec in CODECS {
            assert!(profiles.iter().any(|profile| profile.codec.name == codec.name), "{}", codec.name);
        }
    }

    #[test]
    fn a_profile_of_the_other_network_is_not_found() {
        assert!(find(Network::Sigfox, "adeunis-pulse-v4").is_some());
        assert!(find(Network::Nbiot, "adeunis-pulse-v4").is_none());
    }

    #[test]
    fn what_is_wrong_with_an_entry_is_named() {
        let entry = "network = \"sigfox\"\ncodec = \"adeunis-pulse-v4\"\n";
        assert_eq!(parse(&format!("[a]\n{entry}")).unwrap()[0].callbacks.uplink_line, Callbacks::default().uplink_line);
        assert!(refused(&format!("[a]\n{entry}settings.log_perod = 5")).contains("unknown field `log_perod`"));
        assert!(refused("[a]\nnetwork = \"lora\"").contains("unknown variant `lora`"));
        assert!(
            refused("[a]\nnetwork = \"sigfox\"\ncodec = \"acme\"").contains("no codec \"acme\" (there are: adeunis")
        );
        assert!(refused(&format!("[A]\n{entry}")).contains("\"A\" is not a profile name"));
        assert!(
            refused(&format!("[a]\n{entry}settings.counter_bits = 65"))
                .contains("profile a: a counter has 1 to 64 bits, not 65")
        );
        assert!(
            refused(&format!("[a]\n{entry}settings.log_period = 0")).contains("profile a: a log period of no time")
        );
        for (setting, reason) in [
            ("logs_per_series = 1", "profile a: a series has two logs at least"),
            ("record_bytes = 10", "profile a: a record has 11 or 12 bytes, not 10"),
            ("counter_bits = 33", "profile a: a counter of 33 bits, in a field of 32 (adeunis-pulse-v4)"),
        ] {
            assert_eq!(refused(&format!("[a]\n{entry}settings.{setting}")), reason);
        }
        assert!(refused(&format!("[a]\n{entry}[a]\n{entry}")).contains("duplicate key"));
    }
}
