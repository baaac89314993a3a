//! Least squares without negative results, for a handful of unknowns: what each row, page or byte costs, from the times of
//! many operators that have different numbers of them.

/// One equation: what the unknowns come to, each times its number.
pub struct Sample {
    pub numbers: Vec<f64>,
    pub total: f64,
    /// What counts as the same error in all of them, as a rule the time that was measured: relative errors are as large
    /// in short times as in long ones.
    pub error: f64,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fit {
    /// At least 0.
    pub value: f64,
    /// Its standard error; infinite where the samples do not tell this unknown from the others.
    pub error: f64,
    /// Samples that have it.
    pub samples: usize,
}

const ROUNDS: usize = 100_000;
/// An unknown that the others explain but for this share of its square cannot be told from them.
const INDEPENDENT: f64 = 1e-4;

/// The unknowns, as many as each sample has numbers.
///
/// Coordinate by coordinate down the convex sum of squares, cut at 0 (Franc, Hlavac, Navara 2005, "Sequential
/// Coordinate-Wise Algorithm for the Non-negative Least Squares Problem"). The errors are those of least squares over
/// the unknowns that are not 0.
pub fn fit(samples: &[Sample]) -> Vec<Fit> {
    let unknowns = samples.first().map_or(0, |sample| sample.numbers.len());
    let count = |i: usize| samples.iter().filter(|sample| sample.numbers[i] != 0.0).count();
    let (normal, right, scales) = normal_equations(samples, unknowns);

    let mut values = vec![0.0; unknowns];
    for _ in 0..ROUNDS {
        let mut moved: f64 = 0.0;
        for i in 0..unknowns {
            let slope = normal[i].iter().zip(&values).map(|(a, x)| a * x).sum::<f64>() - right[i];
            // The diagonal is 1, or 0 for an unknown that no sample has.
            let next = if normal[i][i] > 0.0 { f64::max(values[i] - slope, 0.0) } else { 0.0 };
            moved = moved.max((next - values[i]).abs());
            values[i] = next;
        }
        if moved < 1e-12 {
            break;
        }
    }

    let squares: f64 = samples
        .iter()
        .map(|sample| {
            let sum: f64 = (0..unknowns).map(|i| sample.numbers[i] * values[i] / scales[i]).sum();
            ((sample.total - sum) / sample.error).powi(2)
        })
        .sum();
    let freedom = samples.len() as f64 - unknowns as f64;
    (0..unknowns)
        .map(|i| {
            // Of those that are 0 only the one in question: what it could be beside the others.
            let kept: Vec<usize> = (0..unknowns).filter(|&j| j == i || values[j] > 0.0).collect();
            let variance = inverse_at(&normal, &kept, i).map(|inverse| inverse * squares / freedom);
            let error =
                variance.filter(|_| freedom > 0.0).map_or(f64::INFINITY, |variance| variance.sqrt() / scales[i]);
            Fit { value: values[i] / scales[i], error, samples: count(i) }
        })
        .collect()
}

/// AᵀA with a diagonal of ones, Aᵀb to it, and the columns' norms, 1 where a column is empty.
fn normal_equations(samples: &[Sample], unknowns: usize) -> (Vec<Vec<f64>>, Vec<f64>, Vec<f64>) {
    let rows: Vec<Vec<f64>> =
        samples.iter().map(|sample| sample.numbers.iter().map(|number| number / sample.error).collect()).collect();
    let norm = |i: usize| rows.iter().map(|row| row[i] * row[i]).sum::<f64>().sqrt();
    let scales: Vec<f64> = (0..unknowns).map(|i| Some(norm(i)).filter(|norm| *norm > 0.0).unwrap_or(1.0)).collect();
    let dot = |i: usize, j: usize| rows.iter().map(|row| row[i] / scales[i] * row[j] / scales[j]).sum::<f64>();
    let normal = (0..unknowns).map(|i| (0..unknowns).map(|j| dot(i, j)).collect()).collect();
    let right = (0..unknowns)
        .map(|i| rows.iter().zip(samples).map(|(row, sample)| row[i] / scales[i] * sample.total / sample.error).sum())
        .collect();
    (normal, right, scales)
}

/// The diagonal element for `wanted` of the inverse of a part of a symmetric matrix with a diagonal of ones; it is 1 / (the
/// share that the others leave unexplained). By elimination, `wanted` last.
fn inverse_at(matrix: &[Vec<f64>], part: &[usize], wanted: usize) -> Option<f64> {
    let mut order: Vec<usize> = part.iter().copied().filter(|&i| i != wanted).collect();
    order.push(wanted);
    let mut rest: Vec<Vec<f64>> = order.iter().map(|&i| order.iter().map(|&j| matrix[i][j]).collect()).collect();
    let last = order.len() - 1;
    for step in 0..last {
        let pivot = rest[step].clone();
        if pivot[step] < f64::EPSILON {
            continue; // explained by those before it, so it explains nothing more
        }
        for row in rest.iter_mut().skip(step + 1) {
            let factor = row[step] / pivot[step];
            row.iter_mut().zip(&pivot).for_each(|(cell, above)| *cell -= factor * above);
        }
    }
    Some(rest[last][last]).filter(|left| *left > INDEPENDENT).map(|left| 1.0 / left)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(rows: &[(&[f64], f64)]) -> Vec<Sample> {
        rows.iter().map(|(numbers, total)| Sample { numbers: numbers.to_vec(), total: *total, error: 1.0 }).collect()
    }

    fn near(fit: &Fit, value: f64) -> bool {
        (fit.value - value).abs() < 1e-6
    }

    #[test]
    fn exact_equations_are_solved() {
        let got = fit(&samples(&[(&[1.0, 10.0], 32.0), (&[2.0, 1.0], 7.0), (&[1.0, 1.0], 5.0)]));
        assert!(near(&got[0], 2.0) && near(&got[1], 3.0), "{got:?}");
        assert!(got.iter().all(|fit| fit.error < 1e-6 && fit.samples == 3));
    }

    #[test]
    fn what_would_be_negative_is_nothing() {
        // Unbounded: 2 and -1.
        let got = fit(&samples(&[(&[1.0, 0.0], 2.0), (&[1.0, 1.0], 1.0), (&[2.0, 1.0], 3.0)]));
        assert_eq!(got[1].value, 0.0);
        assert!(near(&got[0], 9.0 / 6.0), "{got:?}");
    }

    #[test]
    fn what_always_comes_together_cannot_be_told_apart() {
        let got = fit(&samples(&[
            (&[1.0, 2.0, 1.0], 5.0),
            (&[2.0, 4.0, 0.0], 8.0),
            (&[3.0, 6.0, 1.0], 13.0),
            (&[1.0, 2.0, 0.0], 4.0),
        ]));
        assert!(got[0].error.is_infinite() || got[1].error.is_infinite(), "{got:?}");
        assert!(near(&got[2], 1.0) && got[2].error.is_finite(), "{got:?}");
    }

    #[test]
    fn as_many_unknowns_as_samples_leave_no_error_to_know() {
        let got = fit(&samples(&[(&[1.0], 2.0)]));
        assert!(near(&got[0], 2.0) && got[0].error.is_infinite());
        assert!(fit(&[]).is_empty());
    }

    #[test]
    fn an_unknown_that_no_sample_has() {
        let got = fit(&samples(&[(&[1.0, 0.0], 2.0), (&[2.0, 0.0], 4.0), (&[3.0, 0.0], 6.0)]));
        assert_eq!((got[1].value, got[1].samples), (0.0, 0));
        assert!(got[1].error.is_infinite());
    }
}
