//! Floats: sums, averages, variances, regressions.

use super::*;

fn doubles(values: &[f64]) -> ArrayRef {
    Arc::new(Float64Array::from(values.to_vec()))
}

fn singles(values: &[f32]) -> ArrayRef {
    Arc::new(Float32Array::from(values.to_vec()))
}

fn result(args: Vec<ArrayRef>, name: &str) -> Result<Option<f64>> {
    let rows = Rows::new(&vec![1; args[0].len()], args);
    let found = rows.grouped(&named(name))?;
    let alone = rows.scalar(&named(name))?;
    assert_eq!(close(&found), close(&alone));
    Ok(found.as_primitive::<Float64Type>().iter().next().expect("a group"))
}

#[track_caller]
fn check(args: &[ArrayRef], expected: &[(&str, Option<f64>)]) {
    for (name, expected) in expected {
        let found = result(args.to_vec(), name).expect("aggregates");
        // Bit by bit, but for the kinds of NaN.
        let same = match (found, expected) {
            (Some(found), Some(expected)) => found == *expected || (found.is_nan() && expected.is_nan()),
            (found, expected) => found == *expected,
        };
        assert!(same, "{name}: {found:?}, not {expected:?}");
    }
}

#[test]
fn one_variable() {
    let expected = [
        ("pg_avg_float", Some(1_999_999_999.370_000_1)),
        ("pg_var_pop", Some(1.600000000252e+19)),
        ("pg_var_samp", Some(2.000000000315e+19)),
        ("pg_stddev_pop", Some(4000000000.315)),
        ("pg_stddev_samp", Some(4472135955.35176)),
    ];
    check(&[doubles(&[1.5, 2.25, -7.0, 1e10, 0.1])], &expected);
    check(&[doubles(&[1.5, 2.25, -7.0, 1e10, 0.1])], &[("pg_sum_float", Some(9999999996.85))]);
    check(
        &[singles(&[1.5, 2.25, -7.0, 4.0])],
        &[("pg_avg_float", Some(0.1875)), ("pg_var_pop", Some(18.04296875)), ("pg_var_samp", Some(24.057291666666668))],
    );
    check(
        &[doubles(&[5.0])],
        &[("pg_var_pop", Some(0.0)), ("pg_var_samp", None), ("pg_stddev_samp", None), ("pg_stddev_pop", Some(0.0))],
    );
}

#[test]
fn floats_that_are_no_numbers() {
    const INF: f64 = f64::INFINITY;
    const NAN: Option<f64> = Some(f64::NAN);
    let of = |values: &[f64], average, variance, sum, least, greatest| {
        check(
            &[doubles(values)],
            &[
                ("pg_avg_float", average),
                ("pg_var_pop", variance),
                ("pg_sum_float", sum),
                ("pg_min_float", least),
                ("pg_max_float", greatest),
            ],
        );
    };
    of(&[INF, 3.0], Some(INF), NAN, Some(INF), Some(3.0), Some(INF));
    of(&[INF, -INF], NAN, NAN, NAN, Some(-INF), Some(INF));
    of(&[f64::NAN, 3.0], NAN, NAN, NAN, Some(3.0), NAN);
    of(&[3.0, f64::NAN, 1.0], NAN, NAN, NAN, Some(1.0), NAN);
    of(&[f64::NAN], NAN, NAN, NAN, NAN, NAN);
}

#[test]
fn negative_zero_is_a_sum() {
    let sum = result(vec![doubles(&[-0.0, -0.0])], "pg_sum_float").expect("aggregates").expect("a sum");
    assert!(sum == 0.0 && sum.is_sign_negative());
}

#[test]
fn overflows() {
    assert_eq!(raised(result(vec![doubles(&[1.7e308, 1.7e308])], "pg_sum_float")), "22003");
    assert_eq!(raised(result(vec![doubles(&[1e300, -1e300])], "pg_avg_float")), "22003");
    assert_eq!(raised(result(vec![doubles(&[1e200, -1e200]), doubles(&[1.0, 2.0])], "pg_regr_sxx")), "22003");
    // Only where parts meet.
    let parts = Rows::new(&[1, 1], vec![doubles(&[1e300, -1e300])]);
    assert_eq!(raised(parts.in_parts(&named("pg_avg_float"), true, NEVER)), "22003");
    let parts = Rows::new(&[1, 1], vec![singles(&[3e38, 3e38])]);
    assert_eq!(raised(parts.in_parts(&named("pg_sum_float"), true, NEVER)), "22003");
    assert_eq!(raised(parts.at_once(&named("pg_sum_float"), false)), "22003");
    // A double has room.
    let found = parts.grouped(&named("pg_avg_float")).expect("aggregates");
    assert_eq!(found.as_primitive::<Float64Type>().value(0), 3.0000000054977558e+38);
}

#[test]
fn sums_of_singles_are_singles() {
    let sums = Rows::new(&[1, 1, 2], vec![singles(&[16_777_216.0, 1.0, 0.5])]).grouped(&named("pg_sum_float"));
    let sums = sums.expect("aggregates");
    assert_eq!(sums.as_primitive::<Float32Type>().values().to_vec(), [16_777_216.0, 0.5]);
}

#[test]
fn two_variables() {
    let (y, x) = (doubles(&[1.5, 2.25, -7.0, 1e3, 0.1]), doubles(&[2.0, 3.5, 0.25, 41.0, -3.0]));
    let rows = Rows::new(&[1; 5], vec![Arc::clone(&y), Arc::clone(&x)]);
    for (name, expected) in [
        ("pg_corr", 0.9914162321258899),
        ("pg_covar_pop", 6457.2775),
        ("pg_covar_samp", 8071.596875),
        ("pg_regr_avgx", 8.75),
        ("pg_regr_avgy", 199.37),
        ("pg_regr_intercept", -14.08363855307896),
        ("pg_regr_r2", 0.9829061453226966),
        ("pg_regr_slope", 24.39470154892331),
        ("pg_regr_sxx", 1323.5),
        ("pg_regr_sxy", 32286.3875),
        ("pg_regr_syy", 801314.3379999999),
    ] {
        check(&[Arc::clone(&y), Arc::clone(&x)], &[(name, Some(expected))]);
    }
    let counts = rows.grouped(&named("pg_regr_count")).expect("aggregates");
    assert_eq!(counts.as_primitive::<Int64Type>().value(0), 5);
}

#[test]
fn lines_of_one_direction() {
    let vertical = [doubles(&[1.5, 2.25, -7.0]), doubles(&[2.0, 2.0, 2.0])];
    check(
        &vertical,
        &[
            ("pg_corr", None),
            ("pg_covar_pop", Some(0.0)),
            ("pg_regr_intercept", None),
            ("pg_regr_r2", None),
            ("pg_regr_slope", None),
            ("pg_regr_syy", Some(52.791666666666664)),
        ],
    );
    let horizontal = [doubles(&[1.5, 1.5, 1.5]), doubles(&[2.0, 3.0, 4.0])];
    check(
        &horizontal,
        &[
            ("pg_corr", None),
            ("pg_covar_samp", Some(0.0)),
            ("pg_regr_r2", Some(1.0)),
            ("pg_regr_slope", Some(0.0)),
            ("pg_regr_intercept", Some(1.5)),
        ],
    );
    let endless = [doubles(&[1.5, 1.5, 1.5]), doubles(&[f64::INFINITY, 3.0, 4.0])];
    check(
        &endless,
        &[
            ("pg_corr", None),
            ("pg_covar_pop", Some(f64::NAN)),
            ("pg_regr_avgx", Some(f64::INFINITY)),
            ("pg_regr_syy", Some(0.0)),
            ("pg_regr_slope", Some(f64::NAN)),
            ("pg_regr_r2", Some(1.0)),
        ],
    );
}

#[test]
fn a_row_with_one_null_does_not_count() {
    let y: ArrayRef = Arc::new(Float64Array::from(vec![Some(1.0), None, Some(3.0), Some(5.0)]));
    let x: ArrayRef = Arc::new(Float64Array::from(vec![Some(2.0), Some(9.0), None, Some(6.0)]));
    let rows = Rows::new(&[1, 1, 1, 2], vec![y, x]);
    let counts = rows.grouped(&named("pg_regr_count")).expect("aggregates");
    assert_eq!(counts.as_primitive::<Int64Type>().values().to_vec(), [1, 1]);
    let averages = rows.grouped(&named("pg_regr_avgx")).expect("aggregates");
    assert_eq!(averages.as_primitive::<Float64Type>().values().to_vec(), [2.0, 6.0]);
}
