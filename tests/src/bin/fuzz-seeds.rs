//! Writes the seed inputs of the fuzz targets into a folder: `cargo run -p pulsegate-tests --bin fuzz-seeds --
//! fuzz/seeds`.

use std::path::PathBuf;
use std::{env, fs, io};

use pulsegate_tests::seeds;

fn main() -> io::Result<()> {
    let folder = PathBuf::from(env::args_os().nth(1).ok_or_else(|| io::Error::other("usage: fuzz-seeds FOLDER"))?);
    for (target, seeds) in seeds::all() {
        let folder = folder.join(target);
        fs::create_dir_all(&folder)?;
        for (name, bytes) in seeds {
            fs::write(folder.join(name), bytes)?;
        }
    }
    Ok(())
}
