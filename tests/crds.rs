//! The committed CRDs are the ones that the binary prints.

use std::process::Command;

#[test]
fn the_committed_crds_are_the_printed_ones() {
    let printed = Command::new(env!("CARGO_BIN_EXE_mlservicerole-operator"))
        .arg("crd")
        .output()
        .unwrap();
    assert!(printed.status.success());
    let committed =
        std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/crds/mlservicerole.io.yaml")).unwrap();
    assert!(
        printed.stdout == committed,
        "crds/mlservicerole.io.yaml isn't what `mlservicerole-operator crd` prints; run `make crds`"
    );
}
