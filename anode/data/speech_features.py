"""Features of speech: what a recogniser gets of each hundredth of a second.

Computed by the kaldi-native-fbank package as Kaldi does, of samples that count as 16 bits: windows
of 25 ms every 10 ms, the first around the first sample.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from anode.data.audio import Sound, resampled
from anode.errors import DataError


@dataclass(frozen=True)
class LogMel:
    """The logarithm of the energy in `bins` bands of the mel scale: f32[frames, bins].

    Sound of another rate than `rate` is resampled. White noise of deviation `dither`, always the
    same, is added to samples of 16 bits, so that digital silence is like any other. With
    `normalise` each band has mean 0 and deviation 1 over the sound, so that neither loudness nor
    the microphone matters.
    """

    rate: int = 16_000
    bins: int = 40
    window_ms: float = 25.0
    shift_ms: float = 10.0
    dither: float = 1.0
    normalise: bool = True

    @property
    def size(self) -> int:
        """Numbers in a frame."""
        return self.bins

    def __call__(self, sound: Sound) -> np.ndarray:
        kaldi = _kaldi()
        options = kaldi.FbankOptions()
        _set_frames(options.frame_opts, self)
        options.mel_opts.num_bins = self.bins
        return _computed(kaldi.OnlineFbank(options), sound, self)


@dataclass(frozen=True)
class MFCC:
    """The first `coefficients` of the cosine transform of LogMel's bands: f32[frames, size].

    With `deltas` the first and second slopes over time follow, three times as many numbers. The
    rest is as in LogMel.
    """

    rate: int = 16_000
    coefficients: int = 13
    bins: int = 23
    window_ms: float = 25.0
    shift_ms: float = 10.0
    dither: float = 1.0
    normalise: bool = True
    deltas: bool = False

    @property
    def size(self) -> int:
        """Numbers in a frame."""
        return self.coefficients * (3 if self.deltas else 1)

    def __call__(self, sound: Sound) -> np.ndarray:
        kaldi = _kaldi()
        options = kaldi.MfccOptions()
        _set_frames(options.frame_opts, self)
        options.mel_opts.num_bins, options.num_ceps = self.bins, self.coefficients
        options.use_energy = False
        found = _computed(kaldi.OnlineMfcc(options), sound, self)
        if not self.deltas:
            return found
        first = slopes(found)
        return np.concatenate([found, first, slopes(first)], axis=1)


def slopes(features: np.ndarray, reach: int = 2) -> np.ndarray:
    """The slope over time of each feature, by least squares over 2 · `reach` + 1 frames.

    Frames beyond an end count like the last one. Source: Young et al., The HTK Book.
    """
    count = len(features)
    wide = np.pad(features, ((reach, reach), (0, 0)), "edge") if count else features
    found = np.zeros_like(features)
    for d in range(1, reach + 1):
        ahead, behind = wide[reach + d : reach + d + count], wide[reach - d : reach - d + count]
        found += d * (ahead - behind)
    return found / (2 * sum(d * d for d in range(1, reach + 1)))


def _set_frames(frames: Any, features: LogMel | MFCC) -> None:
    frames.samp_freq, frames.dither, frames.snip_edges = features.rate, 0.0, False
    frames.frame_length_ms, frames.frame_shift_ms = features.window_ms, features.shift_ms


def _computed(extractor: Any, sound: Sound, features: LogMel | MFCC) -> np.ndarray:
    samples = resampled(sound, features.rate).samples * 32768.0
    noise = np.random.default_rng(0).standard_normal(len(samples), np.float32)
    extractor.accept_waveform(features.rate, samples + noise * np.float32(features.dither))
    extractor.input_finished()
    count = extractor.num_frames_ready
    if not count:
        return np.zeros((0, extractor.dim), np.float32)
    found = np.stack([extractor.get_frame(i) for i in range(count)])
    if features.normalise:
        found = (found - found.mean(0)) / (found.std(0) + 1e-5)
    return found.astype(np.float32)


def _kaldi() -> Any:
    try:
        import kaldi_native_fbank
    except ImportError:
        raise DataError(
            "features of speech need the kaldi-native-fbank package: pip install 'anode[speech]'"
        ) from None
    return kaldi_native_fbank
