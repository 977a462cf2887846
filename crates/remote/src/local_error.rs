//! Which errors of the system are our own: they prove nothing about the host that we wanted to reach.

use std::error::Error;
use std::io;

use rustix::io::Errno;

/// What keeps this process or its machine from making or using a connection, with what to look
/// at; `None` where the error came from the other side. The only place that knows which is which.
pub fn fault(error: &io::Error) -> Option<&'static str> {
    let what = match Errno::from_io_error(error)? {
        Errno::MFILE => "this process may open no more files, see `ulimit -n`",
        Errno::NFILE => "this machine can open no more files, see `sysctl fs.file-nr`",
        Errno::NOBUFS | Errno::NOMEM => "this machine is short of memory",
        Errno::AGAIN => "this machine can start no more processes, see `ulimit -u`",
        Errno::ADDRNOTAVAIL | Errno::ADDRINUSE => {
            "this machine has no free port or no such address, see `ss -s`"
        }
        Errno::NETUNREACH | Errno::NETDOWN => "this machine has no route there, see `ip route`",
        Errno::AFNOSUPPORT => "this machine does not use such addresses",
        Errno::PERM | Errno::ACCESS => "this machine does not let us connect there",
        Errno::NOSPC | Errno::IO => "this machine's disk is full or failing",
        _ => return None,
    };
    Some(what)
}

/// The same for any error in an error's chain.
pub fn fault_in(error: &(dyn Error + 'static)) -> Option<&'static str> {
    links(error).find_map(|link| link.downcast_ref().and_then(fault))
}

/// An error and its causes, one by one. The `source` of [`io::Error`] skips the error that it
/// carries.
pub fn links<'a>(
    error: &'a (dyn Error + 'static),
) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |link| {
        let link: &'a (dyn Error + 'static) = *link;
        let carried = link
            .downcast_ref::<io::Error>()
            .and_then(io::Error::get_ref);
        match carried {
            Some(carried) => Some(carried as &(dyn Error + 'static)),
            None => link.source(),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_limits_are_told_apart_from_what_the_other_side_does() {
        let of = |errno: Errno| fault(&io::Error::from(errno)).is_some();
        for ours in [
            Errno::MFILE,
            Errno::NFILE,
            Errno::NOBUFS,
            Errno::NOMEM,
            Errno::ADDRNOTAVAIL,
            Errno::NETUNREACH,
        ] {
            assert!(of(ours), "{ours}");
        }
        for theirs in [
            Errno::CONNREFUSED,
            Errno::CONNRESET,
            Errno::CONNABORTED,
            Errno::HOSTUNREACH,
            Errno::TIMEDOUT,
            Errno::PIPE,
        ] {
            assert!(!of(theirs), "{theirs}");
        }
        assert_eq!(fault(&io::Error::other("x")), None);
        // However deep, also inside another error of the system.
        let inner = io::Error::other(io::Error::from(Errno::MFILE));
        assert!(fault_in(&io::Error::other(inner)).is_some());
        assert_eq!(fault_in(&io::Error::other("x")), None);
    }
}
