//! Shares of the requests: which side runs which release, how a share is set and proved, and the way
//! back to the stable release.

mod binomial;
pub mod foreign;
pub mod observe;
pub mod recall;
pub mod shift;
pub mod sides;
pub mod work;
