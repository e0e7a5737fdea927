//! Device profiles: the codec and settings of each kind of device.
//!
//! A message names its profile (by the callback's path, or by the listener that received it), so the write path needs
//! no lookup of devices. Values of a single meter, litres per pulse or an offset, are applied when reading.
//!
//! Profiles are in `shared/model/profiles.toml`, which is compiled in. `shared/model/profiles.schema.json` describes
//! its format to editors.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::Deserialize;

use crate::codec::{CODECS, Codec, CodecSettings};
use crate::device::Network;
use crate::uplink::ProfileName;

/// All profiles, sorted by name.
#[expect(clippy::expect_used, reason = "the file is compiled in, and a test parses it")]
pub static PROFILES: LazyLock<Vec<Profile>> =
    LazyLock::new(|| parse(include_str!("../profiles.toml")).expect("profiles.toml is valid"));

/// A kind of device.
#[derive(Debug)]
pub struct Profile {
    /// Its name in callbacks and listeners.
    pub name: &'static str,
    /// Its network.
    pub network: Network,
    /// The codec that decodes its frames.
    pub codec: &'static Codec,
    /// Settings for the codec.
    pub settings: CodecSettings,
    /// Format of its callbacks. (NB-IoT has none.)
    pub callbacks: Callbacks,
}

/// Format of a device type's callbacks. The callbacks do not contain it: the customer enters it in the Sigfox back end.
#[derive(Debug)]
pub struct Callbacks {
    /// The line pattern of its `BATCH_URL` callbacks of the kind DATA / UPLINK.
    pub uplink_line: &'static str,
    /// The same for the kind DATA / BIDIR. Without `{ack}` no device gets a downlink.
    pub bidir_line: &'static str,
    /// The customer's own variable names in its templates, each with Sigfox's name.
    pub aliases: Vec<(&'static str, &'static str)>,
}

impl Default for Callbacks {
    /// The patterns of `docs/sigfox.md`.
    fn default() -> Self {
        Self {
            uplink_line: "{device};{time};{data};{seqNumber}",
            bidir_line: "{device};{time};{data};{seqNumber};{ack}",
            aliases: vec![],
        }
    }
}

impl Profile {
    /// Its name, as in uplinks.
    pub fn uplink_name(&self) -> ProfileName {
        ProfileName::of_profile(self.name)
    }

    /// Width of the device's counters in bits, if known.
    pub fn counter_bits(&self) -> Option<u8> {
        self.settings.counter_bits.or(self.codec.counter_bits)
    }
}

/// Finds a profile by network and name.
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

/// An invalid file of profiles.
#[derive(Debug, thiserror::Error)]
pub enum ProfileError {
    /// Not the expected format.
    #[error(transparent)]
    Form(#[from] toml::de::Error),
    /// An invalid profile name.
    #[error(transparent)]
    Name(#[from] crate::uplink::UplinkError),
    /// An unknown codec.
    #[error("profile {profile}: there is no codec {codec:?} (there are: {known})", known = known_codecs())]
    Codec {
        /// The profile.
        profile: String,
        /// The codec it names.
        codec: String,
    },
    /// An invalid setting.
    #[error("profile {profile}: {reason}")]
    Setting {
        /// The profile.
        profile: String,
        /// What is wrong with the setting.
        reason: String,
    },
}

/// Parses a file of profiles. The result stays in memory until the process ends.
///
/// # Errors
/// [`ProfileError`] for the first invalid profile.
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

/// Leaks the text: profiles live as long as the process.
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
            refused(&format!("[a]\n{entry}settings.counted_at = \"middle\"")).contains("expected `start` or `end`")
        );
        assert!(refused(&format!("[a]\n{entry}settings.log_period = 0")).contains("profile a: log_period is 0"));
        for (setting, reason) in [
            ("logs_per_series = 1", "profile a: a series has at least two logs"),
            ("record_bytes = 10", "profile a: a record has 11 or 12 bytes, not 10"),
            ("counter_bits = 33", "profile a: a counter of 33 bits does not fit its field of 32 (adeunis-pulse-v4)"),
        ] {
            assert_eq!(refused(&format!("[a]\n{entry}settings.{setting}")), reason);
        }
        assert!(refused(&format!("[a]\n{entry}[a]\n{entry}")).contains("duplicate key"));
    }
}
