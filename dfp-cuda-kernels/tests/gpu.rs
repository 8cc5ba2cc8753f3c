//! What only a CUDA device can show, on that of the number in `DFP_CUDA_DEVICE`; without it, nothing.
mod support;

use std::sync::Arc;

use arrow_array::{ArrayRef, Float64Array, RecordBatch, StringArray};
use dfp_core::{FitContext, Trainer};
use dfp_cuda_kernels::{CudaBackend, Precision, cuda};
use dfp_models::autoencoder::backend::Backend;
use dfp_models::autoencoder::{AutoencoderTrainer, Config};

/// Memory left when almost none is.
const LEFT: u64 = 96 << 20;

fn number() -> Option<usize> {
    let number = std::env::var("DFP_CUDA_DEVICE").ok();
    if number.is_none() {
        println!("DFP_CUDA_DEVICE is not set: no device is tested");
    }
    Some(number?.parse().expect("DFP_CUDA_DEVICE is a number"))
}

fn users(count: usize, rows: usize) -> Vec<RecordBatch> {
    let user = |user: usize| {
        let amounts: ArrayRef =
            Arc::new(Float64Array::from_iter_values((0..rows).map(|i| ((i * 7 + user) % 13) as f64)));
        let text = |i: usize| format!("app {}", (i * i + user) % 40);
        let apps: ArrayRef = Arc::new(StringArray::from_iter_values((0..rows).map(text)));
        RecordBatch::try_from_iter([("amount", amounts), ("app", apps)]).expect("columns of one length")
    };
    (0..count).map(user).collect()
}

/// The models of users, as bytes.
fn fit(backend: &Arc<CudaBackend>, users: &[RecordBatch]) -> Vec<Vec<u8>> {
    let config = Config { epochs: 3, ..Config::default() };
    let trainer =
        AutoencoderTrainer::new(config, ["amount", "app"]).expect("settings that work").on(backend.clone());
    let models = trainer.fit_many(users, &FitContext { threads: 4, ..FitContext::default() });
    models.into_iter().map(|model| model.expect("it fits").save().expect("it saves")).collect()
}

#[test]
fn users_that_do_not_fit_at_once_are_trained_one_group_after_another() {
    let Some(number) = number() else { return };
    let device = cuda::open(number).expect("the device opens");
    let users = users(3000, 400);
    let roomy = Arc::new(CudaBackend::new(vec![device.clone()], Precision::Fp32));
    let wanted = fit(&roomy, &users);
    assert_eq!(
        (roomy.counts().on_device, roomy.counts().on_cpu),
        (users.len(), 0),
        "{:?}",
        roomy.take_failures()
    );
    let mut hogs = Vec::new();
    while let Some(bytes) =
        device.free_memory().expect("it answers").checked_sub(LEFT).filter(|bytes| *bytes > LEFT)
    {
        match device.allocate(bytes as usize) {
            Ok(hog) => hogs.push(hog),
            Err(_) => hogs.push(device.allocate(bytes as usize / 2).expect("half of what is free")),
        }
    }
    let narrow = Arc::new(CudaBackend::new(vec![device.clone()], Precision::Fp32));
    assert!(fit(&narrow, &users) == wanted, "{:?}", narrow.take_failures());
    assert_eq!(narrow.counts().on_cpu, 0, "{:?}", narrow.take_failures());
}

#[test]
fn many_openings_of_a_device_work_side_by_side() {
    let Some(number) = number() else { return };
    let users = users(20, 200);
    let open =
        || Arc::new(CudaBackend::new(vec![cuda::open(number).expect("the device opens")], Precision::Fp32));
    let wanted = fit(&open(), &users);
    std::thread::scope(|scope| {
        let work = || (0..10).all(|_| fit(&open(), &users) == wanted);
        let workers: Vec<_> = (0..8).map(|_| scope.spawn(work)).collect();
        assert!(workers.into_iter().all(|worker| worker.join().expect("no panic")));
    });
}

#[test]
fn a_device_that_is_not_there_is_named() {
    let Some(_) = number() else { return };
    let error = cuda::open(999).expect_err("there is no such device").to_string();
    assert!(error.contains("999"), "{error}");
}
