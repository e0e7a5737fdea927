//! The route of a callback: its path, `/sigfox/{profile}/{kind}`.

use pulsegate_model::device::Network;
use pulsegate_model::profile;
use pulsegate_model::profile::Profile;

use super::CallbackKind;

/// The profile and the kind that the path of a callback names.
#[derive(Debug, Clone, Copy)]
pub struct Route {
    /// The profile of the device type.
    pub profile: &'static Profile,
    /// The kind of callback.
    pub kind: CallbackKind,
}

/// The reason for which a path is not the route of a callback.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RouteError {
    /// Another path.
    #[error("the path of the callback is not /sigfox/{{profile}}/{{kind}}")]
    Path,
    /// A path with an unknown profile, or with one of another network.
    #[error("the path of the callback names no profile of a Sigfox device")]
    UnknownProfile,
    /// A path with an unknown kind.
    #[error("the path of the callback names no kind of callback")]
    UnknownKind,
}

impl Route {
    /// Reads a path. Ignores extra slashes, white space around a segment, and segments before `sigfox`, such as a
    /// stage: people and tools add them. Names count to the letter.
    ///
    /// # Errors
    /// [`RouteError`].
    pub fn of_path(path: &str) -> Result<Self, RouteError> {
        let segments: Vec<&str> = path.split('/').map(str::trim).filter(|segment| !segment.is_empty()).collect();
        let [.., "sigfox", profile, kind] = segments[..] else { return Err(RouteError::Path) };
        Self::named(profile, kind)
    }

    /// Looks up the names of a profile and a kind.
    ///
    /// # Errors
    /// [`RouteError`].
    pub fn named(profile: &str, kind: &str) -> Result<Self, RouteError> {
        let profile = profile::find(Network::Sigfox, profile.trim()).ok_or(RouteError::UnknownProfile)?;
        let kind = kind.trim().parse().map_err(|_| RouteError::UnknownKind)?;
        Ok(Self { profile, kind })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extra_slashes_white_space_and_a_stage_lead_to_the_same_route() {
        for path in [
            "/sigfox/adeunis-pulse-v4/uplink",
            "/sigfox/adeunis-pulse-v4/uplink/",
            "/sigfox/adeunis-pulse-v4/uplink//",
            "//sigfox//adeunis-pulse-v4//uplink",
            "/sigfox/adeunis-pulse-v4/uplink ",
            "/prod/sigfox/adeunis-pulse-v4/uplink",
            "sigfox/adeunis-pulse-v4/uplink",
        ] {
            let route = Route::of_path(path).unwrap();
            assert_eq!((route.profile.name, route.kind), ("adeunis-pulse-v4", CallbackKind::Uplink), "{path}");
        }
    }

    #[test]
    fn another_path_is_none_and_the_error_names_the_part() {
        for (path, error) in [
            ("", RouteError::Path),
            ("/", RouteError::Path),
            ("/sigfox", RouteError::Path),
            ("/sigfox/adeunis-pulse-v4", RouteError::Path),
            ("/sigfox//uplink", RouteError::Path),
            ("/Sigfox/adeunis-pulse-v4/uplink", RouteError::Path),
            ("/sigfox/adeunis-pulse-v4/uplink/x", RouteError::Path),
            ("/sigfox/{profile}/uplink", RouteError::UnknownProfile),
            ("/sigfox/adeunis-pulse4-nbiot/uplink", RouteError::UnknownProfile),
            ("/sigfox/adeunis-pulse-v4/UPLINK", RouteError::UnknownKind),
            ("/sigfox/adeunis-pulse-v4/{kind}", RouteError::UnknownKind),
        ] {
            assert_eq!(Route::of_path(path).unwrap_err(), error, "{path}");
        }
    }
}
