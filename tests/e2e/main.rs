//! End-to-end tests: a real API server, an AWS emulator, and the operator as a process with the permissions
//! that its manifests give it.
//!
//! They need KUBECONFIG (an admin of a cluster in which no operator runs) and AWS_ENDPOINT_URL (an emulator of
//! AWS; its credentials and region default to dummies), and nothing else. All tests share one operator and run
//! at the same time, each in a namespace of its own; those that stop the operator follow one by one. Nothing
//! that a run made is left behind, but the CRDs and the operator's RBAC, which are installed like a user would.

#![allow(clippy::unwrap_used, clippy::expect_used)] // All of this is test code.

mod support;

#[path = "../support/openmetrics.rs"]
mod openmetrics;

mod admission;
mod adoption;
mod attacks;
mod classes;
mod cluster_name;
mod creation;
mod defaults;
mod deletion;
mod deletion_obstacles;
mod drift;
mod faults;
mod foreign;
mod gitops;
mod hostile;
mod leader;
mod life;
mod metrics;
mod narrowing;
mod observe;
mod plan_live;
mod presets;
mod quotas;
mod refusals;
mod replace;
mod restart;
mod rights;
mod schema_class;
mod schema_role;
mod schema_update;
mod service_accounts;
mod states;
mod sweep;
mod unbinding;
mod updates;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};
use support::{Bed, delete_all, delete_by_force};
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};

/// Tests wait more than they work.
const THREADS: usize = 10;

/// Makes trials of async functions; they are named as their modules and functions.
#[macro_export]
macro_rules! trials {
    ($($test:ident),* $(,)?) => {
        pub fn trials() -> Vec<libtest_mimic::Trial> {
            vec![$(libtest_mimic::Trial::test(
                format!("{}::{}", module_path!().trim_start_matches("e2e::"), stringify!($test)),
                || {
                    $crate::support::space::block_on($test());
                    Ok(())
                },
            )),*]
        }
    };
}

fn parallel() -> Vec<Trial> {
    [
        // First what waits longest. Namespaces go one after the other: who waits for one waits for those before it.
        attacks::trials(),
        life::trials(),
        narrowing::trials(),
        deletion::trials(),
        deletion_obstacles::trials(),
        adoption::trials(),
        service_accounts::trials(),
        gitops::trials(),
        drift::trials(),
        schema_role::trials(),
        schema_update::trials(),
        schema_class::trials(),
        creation::trials(),
        updates::trials(),
        foreign::trials(),
        unbinding::trials(),
        replace::trials(),
        observe::trials(),
        plan_live::trials(),
        classes::trials(),
        refusals::trials(),
        hostile::trials(),
        presets::trials(),
        quotas::trials(),
        states::trials(),
        sweep::trials(),
        faults::trials(),
        admission::trials(),
        rights::trials(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn serial() -> Vec<Trial> {
    [
        defaults::trials(),
        restart::trials(),
        replace::serial(),
        leader::trials(),
        faults::serial(),
        sweep::serial(),
        metrics::trials(),
        cluster_name::trials(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    if arguments.list {
        let all = parallel().into_iter().chain(serial()).collect();
        return libtest_mimic::run(&arguments, all).exit_code();
    }
    if rustls::crypto::aws_lc_rs::default_provider()
        .install_default()
        .is_err()
    {
        eprintln!("error: a TLS provider is installed already");
        return ExitCode::FAILURE;
    }
    let runtime = match Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: failed to start the runtime: {error}");
            return ExitCode::FAILURE;
        }
    };
    let bed = match runtime.block_on(Bed::make()) {
        Ok(bed) => bed,
        Err(error) => {
            eprintln!("error: {error}");
            return ExitCode::FAILURE;
        }
    };
    runtime.spawn(stop_when_interrupted(bed));

    arguments.test_threads.get_or_insert(THREADS);
    let mut failed = libtest_mimic::run(&arguments, parallel()).has_failed();
    arguments.test_threads = Some(1);
    failed |= libtest_mimic::run(&arguments, serial()).has_failed();
    failed |= runtime.block_on(end(bed, failed));
    ExitCode::from(u8::from(failed))
}

/// Deletes everything that the run made and stops the operator. Says what went wrong; true if anything did.
async fn end(bed: &Bed, failed: bool) -> bool {
    let mut wrong = Vec::new();
    if let Some(status) = bed.operator_ended().await {
        wrong.push(format!("the operator ended by itself: {status}"));
    }
    wrong.extend(delete_all().await.err());
    wrong.extend(roles_left(bed).await.err());
    wrong.extend(bed.stop_operator().await.err());
    delete_by_force().await;
    wrong.extend(bed.launcher.uninstall(wrong.is_empty()).await.err());
    bed.clean_aws().await;
    for message in &wrong {
        eprintln!("error: {message}");
    }
    let log = bed.launcher.log_path();
    if failed || !wrong.is_empty() {
        eprintln!("the operator's log is kept: {}", log.display());
        eprintln!("its end:\n{}", bed.launcher.log_tail("", 30));
    } else if let Err(error) = std::fs::remove_dir_all(&bed.launcher.directory) {
        eprintln!("{}: {error}", bed.launcher.directory.display());
    }
    !wrong.is_empty()
}

/// The operator must have removed every role that it created; tests declare those that stay.
async fn roles_left(bed: &Bed) -> Result<(), String> {
    let mut left = bed.aws.roles_under(&bed.path()).await?;
    left.retain(|role| !bed.declared.lock().unwrap().contains(role));
    match left.is_empty() {
        true => Ok(()),
        false => Err(format!("roles that nobody removed: {left:?}")),
    }
}

async fn stop_when_interrupted(bed: &'static Bed) {
    let (Ok(mut interrupt), Ok(mut terminate)) =
        (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        return;
    };
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    eprintln!("interrupted: stopping the operator and deleting what the run made");
    bed.interrupt();
    let _ = bed.stop_operator().await;
    delete_by_force().await;
    let _ = bed.launcher.uninstall(false).await;
    bed.clean_aws().await;
    let _ = std::fs::remove_dir_all(&bed.launcher.directory);
    std::process::exit(130);
}
