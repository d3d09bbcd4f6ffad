// Gate, normalisation, residual and ReLU of a convolution's output in a few passes over bf16 maps.
//
// Every map is (rows, C), a row a pixel, as a contiguous channels_last tensor lies in memory. With a
// gate the map is made of two convolutions' outputs:
//
//     m   = mean of base over each `group` consecutive channels        one per decision, D = C/group
//     Z   = (m - mean(m)) / sqrt(var(m) + eps),  M = [Z - tau > 0]     statistics over all rows
//     y   = M ? full : base
//
// and without one y = base. Then out = [relu](gamma (y - mean(y)) / sqrt(var(y) + eps) + beta
// [+ residual]). The way back is that of hwsim.train.gating: sigmoid(2 z) stands in for the step.
//
// Nothing of a map's size is stored in fp32: each pass reads bf16, works on a row in registers or the
// first cache, and sums in fp32 over a block of rows, in fp64 over the blocks. The blocks depend on the
// map's shape alone, so that any number of threads gives the same bits.

#include <ATen/Parallel.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/zeros.h>
#include <torch/library.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <optional>
#include <vector>

namespace {

using at::Tensor;
using Maybe = std::optional<Tensor>;

constexpr int64_t BLOCK = 1 << 15;  // values of a block: its rows stay in the second cache
constexpr int64_t WIDEST = 1024;    // values that a row may have
// Buffers of a row lie side by side: at a multiple of 4096 bytes they would share cache sets.
constexpr int64_t ROOM = WIDEST + 272;
constexpr int64_t AHEAD = 2048;     // bytes by which a row is asked for before it is read
constexpr int64_t WIDE = 256;       // narrower rows are taken several at a time, up to this width
constexpr float LOG2_E = 1.44269504f;

inline float widen(uint16_t bits) {
  const uint32_t word = static_cast<uint32_t>(bits) << 16;
  float value;
  std::memcpy(&value, &word, sizeof value);
  return value;
}

inline uint16_t narrow(float value) {  // to nearest, ties to even
  uint32_t word;
  std::memcpy(&word, &value, sizeof word);
  return static_cast<uint16_t>((word + 0x7FFFu + ((word >> 16) & 1u)) >> 16);
}

// 2 s (1 - s) for s = sigmoid(2 z), by e = exp(-2 |z|): 2 e / (1 + e)^2. Relative error below 1e-6.
inline float slope_of_step(float z) {
  const float steep = -2.0f * LOG2_E * std::fabs(z);
  const float power = steep > -125.0f ? steep : -125.0f;
  const int32_t whole = static_cast<int32_t>(power - 0.5f);
  const float x = power - static_cast<float>(whole);
  const float part =
      1.0f + x * (0.693147181f + x * (0.240226507f + x * (0.0555041087f + x * (0.00961812911f +
             x * (0.00133335581f + x * 0.000154035304f)))));
  int32_t bits;
  std::memcpy(&bits, &part, sizeof bits);
  bits += whole * (1 << 23);
  float e;
  std::memcpy(&e, &bits, sizeof e);
  return 2.0f * e / ((1.0f + e) * (1.0f + e));
}

// A map's rows, taken `fold` at a time, and how they are cut into blocks.
struct Shape {
  int64_t rows, width, channels, fold, blocks, rows_of_block;

  explicit Shape(const Tensor& map) {
    channels = map.size(1);
    rows = map.numel() / channels;
    fold = 1;
    while (2 * fold * channels <= WIDE && rows % (2 * fold) == 0) fold *= 2;
    width = channels * fold;
    rows /= fold;
    rows_of_block = std::max<int64_t>(1, BLOCK / width);
    blocks = (rows + rows_of_block - 1) / rows_of_block;
    TORCH_CHECK(width <= WIDEST, "rows of ", channels, " channels are too wide");
  }

  template <class Work>
  void each(const Work& work) const {  // work(block, first row, last row)
    at::parallel_for(0, blocks, 1, [&](int64_t first, int64_t last) {
      for (int64_t block = first; block < last; ++block)
        work(block, block * rows_of_block, std::min(rows, (block + 1) * rows_of_block));
    });
  }
};

// Sums per value of a row, `kinds` of them: fp32 within a block, fp64 over blocks and folds.
struct Sums {
  int64_t kinds, width;
  std::vector<float> parts;

  Sums(const Shape& shape, int64_t kinds, int64_t width)
      : kinds(kinds), width(width), parts(shape.blocks * kinds * width, 0.0f) {}

  float* of(int64_t block, int64_t kind) { return parts.data() + (block * kinds + kind) * width; }

  std::vector<double> total(int64_t kind, int64_t count) {
    std::vector<double> sums(count, 0.0);
    const int64_t blocks = static_cast<int64_t>(parts.size()) / (kinds * width);
    for (int64_t block = 0; block < blocks; ++block)
      for (int64_t i = 0; i < width; ++i) sums[i % count] += of(block, kind)[i];
    return sums;
  }
};

// A vector of the channels (or decisions), once for each row of a fold.
std::vector<float> folded(const Tensor& values, int64_t fold) {
  const int64_t count = values.numel();
  const float* from = values.const_data_ptr<float>();
  std::vector<float> row(count * fold);
  for (int64_t i = 0; i < count * fold; ++i) row[i] = from[i % count];
  return row;
}

const uint16_t* bits_of(const Tensor& map) {
  return reinterpret_cast<const uint16_t*>(map.const_data_ptr());
}
uint16_t* bits_of(Tensor& map) { return reinterpret_cast<uint16_t*>(map.mutable_data_ptr()); }

void check(const Tensor& map, const Tensor& like, const char* name) {
  TORCH_CHECK(map.scalar_type() == at::kBFloat16 && map.dim() == 4 && map.sizes() == like.sizes() &&
                  map.is_contiguous(at::MemoryFormat::ChannelsLast),
              name, ": a bf16 map in channels_last of one shape with the others was expected");
}

void mean_and_variance(Sums& sums, int64_t kind, double rows, Tensor& mean, Tensor& variance) {
  const int64_t count = mean.numel();
  const std::vector<double> first = sums.total(kind, count), second = sums.total(kind + 1, count);
  float *means = mean.mutable_data_ptr<float>(), *variances = variance.mutable_data_ptr<float>();
  for (int64_t i = 0; i < count; ++i) {
    const double average = first[i] / rows;
    means[i] = static_cast<float>(average);
    variances[i] = static_cast<float>(std::max(0.0, second[i] / rows - average * average));
  }
}

std::vector<float> inverse_deviation(const Tensor& variance, double eps, int64_t fold) {
  std::vector<float> row = folded(variance, fold);
  for (float& value : row) value = static_cast<float>(1.0 / std::sqrt(double(value) + eps));
  return row;
}

// Rows of four maps in turn are more than a processor foresees: this takes a third off the way back.
inline void fetch(const uint16_t* from, int64_t width) {
  const char* next = reinterpret_cast<const char*>(from) + AHEAD;
  for (int64_t i = 0; i < 2 * width; i += 64) __builtin_prefetch(next + i);
}

inline void load(float* __restrict to, const uint16_t* __restrict from, int64_t width) {
#pragma omp simd
  for (int64_t i = 0; i < width; ++i) to[i] = widen(from[i]);
}

inline void store(uint16_t* __restrict to, const float* __restrict from, int64_t width) {
#pragma omp simd
  for (int64_t i = 0; i < width; ++i) to[i] = narrow(from[i]);
}

// to[d] = scale * sum of a group. Halves until one value a group is left where groups are 2^k.
template <int64_t G>
inline void group_sums(float* __restrict to, const float* __restrict from, int64_t decisions,
                       int64_t group, float scale) {
  const int64_t size = G ? G : group;
  for (int64_t d = 0; d < decisions; ++d) {
    float sum = 0.0f;
    for (int64_t j = 0; j < size; ++j) sum += from[d * size + j];
    to[d] = scale * sum;
  }
}

inline void group_sums(float* to, const float* from, int64_t decisions, int64_t group, float scale) {
  switch (group) {
    case 1: return group_sums<1>(to, from, decisions, group, scale);
    case 4: return group_sums<4>(to, from, decisions, group, scale);
    case 8: return group_sums<8>(to, from, decisions, group, scale);
    case 16: return group_sums<16>(to, from, decisions, group, scale);
    default: return group_sums<0>(to, from, decisions, group, scale);
  }
}

template <int64_t G>
inline void spread(float* __restrict to, const float* __restrict from, int64_t decisions,
                   int64_t group) {
  const int64_t size = G ? G : group;
  for (int64_t d = 0; d < decisions; ++d)
    for (int64_t j = 0; j < size; ++j) to[d * size + j] = from[d];
}

inline void spread(float* to, const float* from, int64_t decisions, int64_t group) {
  switch (group) {
    case 1: return spread<1>(to, from, decisions, group);
    case 4: return spread<4>(to, from, decisions, group);
    case 8: return spread<8>(to, from, decisions, group);
    case 16: return spread<16>(to, from, decisions, group);
    default: return spread<0>(to, from, decisions, group);
  }
}

// What the rows of one map have in common: its inputs and, where there is one, its gate.
struct Map {
  Shape shape;
  int64_t group = 1, decisions = 0;
  const uint16_t *base, *full = nullptr;
  const uint8_t* given = nullptr;  // another pass's mask
  std::vector<float> gate_mean, gate_scale, tau;

  Map(const Tensor& base_map, const Maybe& full_map, int64_t mask_group)
      : shape(base_map), group(mask_group), base(bits_of(base_map)) {
    check(base_map, base_map, "base");
    if (!full_map) return;
    check(*full_map, base_map, "full");
    TORCH_CHECK(group > 0 && shape.channels % group == 0, "groups of ", group, " of ",
                shape.channels, " channels");
    full = bits_of(*full_map);
    decisions = shape.width / group;
  }

  bool gated() const { return full != nullptr; }

  void set_gate(const Tensor& mean, const Tensor& variance, const Tensor& thresholds, double eps) {
    gate_mean = folded(mean, shape.fold);
    gate_scale = inverse_deviation(variance, eps, shape.fold);
    tau = folded(thresholds, shape.fold);
  }

  void take_mask(const Tensor& mask) {
    TORCH_CHECK(mask.scalar_type() == at::kByte && mask.is_contiguous() &&
                    mask.numel() == shape.rows * decisions,
                "mask: a byte for each decision was expected");
    given = mask.const_data_ptr<uint8_t>();
  }
};

// One row at work: all its buffers, so that passes differ in what they do with them alone.
struct Row {
  alignas(64) float base[ROOM], full[ROOM], y[ROOM], z[ROOM], margin[ROOM], open[ROOM],
      wide[ROOM];

  // Fills y, and of a gated map base, full, z, margin (decisions) and wide (the mask, channels).
  void read(const Map& map, int64_t row) {
    const int64_t width = map.shape.width;
    fetch(map.base + row * width, width);
    if (map.gated()) fetch(map.full + row * width, width);
    if (!map.gated()) return load(y, map.base + row * width, width);
    load(base, map.base + row * width, width);
    load(full, map.full + row * width, width);
    decide(map, row);
#pragma omp simd
    for (int64_t i = 0; i < width; ++i) y[i] = wide[i] != 0.0f ? full[i] : base[i];
  }

  void decide(const Map& map, int64_t row) {
    const int64_t count = map.decisions;
    if (map.given) {
      const uint8_t* given = map.given + row * count;
      for (int64_t d = 0; d < count; ++d) open[d] = given[d];
    } else {
      const float *mean = map.gate_mean.data(), *scale = map.gate_scale.data();
      const float* tau = map.tau.data();
      group_sums(z, base, count, map.group, 1.0f / static_cast<float>(map.group));
#pragma omp simd
      for (int64_t d = 0; d < count; ++d) {
        z[d] = (z[d] - mean[d]) * scale[d];
        margin[d] = z[d] - tau[d];
        open[d] = margin[d] > 0.0f ? 1.0f : 0.0f;
      }
    }
    spread(wide, open, count, map.group);
  }
};

inline void accumulate(float* __restrict sum, float* __restrict square, const float* __restrict from,
                       int64_t count) {
#pragma omp simd
  for (int64_t i = 0; i < count; ++i) {
    sum[i] += from[i];
    square[i] += from[i] * from[i];
  }
}

void gate_statistics(Map& map, Tensor& mean, Tensor& variance) {
  const Shape& shape = map.shape;
  Sums sums(shape, 2, map.decisions);
  shape.each([&](int64_t block, int64_t first, int64_t last) {
    alignas(64) float base[ROOM], mean_of_group[ROOM];
    for (int64_t row = first; row < last; ++row) {
      load(base, map.base + row * shape.width, shape.width);
      group_sums(mean_of_group, base, map.decisions, map.group, 1.0f / map.group);
      accumulate(sums.of(block, 0), sums.of(block, 1), mean_of_group, map.decisions);
    }
  });
  mean_and_variance(sums, 0, double(shape.rows * shape.fold), mean, variance);
}

int64_t statistics(Map& map, Tensor& mean, Tensor& variance, uint8_t* kept) {
  const Shape& shape = map.shape;
  Sums sums(shape, 2, shape.width);
  std::vector<int64_t> open(shape.blocks, 0);
  shape.each([&](int64_t block, int64_t first, int64_t last) {
    Row at;
    alignas(64) float count[ROOM] = {};
    for (int64_t row = first; row < last; ++row) {
      at.read(map, row);
      accumulate(sums.of(block, 0), sums.of(block, 1), at.y, shape.width);
#pragma omp simd
      for (int64_t d = 0; d < map.decisions; ++d) count[d] += at.open[d];
      if (kept)
        for (int64_t d = 0; d < map.decisions; ++d)
          kept[row * map.decisions + d] = at.open[d] != 0.0f;
    }
    for (int64_t d = 0; d < map.decisions; ++d) open[block] += static_cast<int64_t>(count[d]);
  });
  mean_and_variance(sums, 0, double(shape.rows * shape.fold), mean, variance);
  int64_t all = 0;
  for (int64_t part : open) all += part;
  return all;
}

Tensor vector_of(int64_t count) { return at::empty({count}, at::kFloat); }

// (out, mean, variance, gate mean, gate variance, share of open gates, mask)
using Forward = std::tuple<Tensor, Tensor, Tensor, Tensor, Tensor, double, Tensor>;

Forward forward(const Tensor& base, const Maybe& full, const Maybe& tau, const Maybe& mask,
                const Tensor& gamma, const Tensor& beta, const Maybe& residual, int64_t group,
                double gate_eps, double eps, bool relu, bool keep_mask) {
  Map map(base, full, group);
  const Shape& shape = map.shape;
  const int64_t decisions = map.decisions / shape.fold;
  Tensor mean = vector_of(shape.channels), variance = vector_of(shape.channels);
  Tensor gate_mean = vector_of(decisions), gate_variance = vector_of(decisions);
  Tensor kept = at::empty({keep_mask ? shape.rows * map.decisions : 0}, at::kByte);
  if (map.gated()) gate_statistics(map, gate_mean, gate_variance);
  if (mask) {
    map.take_mask(*mask);
  } else if (map.gated()) {
    map.set_gate(gate_mean, gate_variance, *tau, gate_eps);
  }
  const int64_t open =
      statistics(map, mean, variance, keep_mask ? kept.mutable_data_ptr<uint8_t>() : nullptr);

  Tensor out = at::empty_like(base);
  uint16_t* to = bits_of(out);
  const uint16_t* added = nullptr;
  if (residual) {
    check(*residual, base, "residual");
    added = bits_of(*residual);
  }
  std::vector<float> middle = folded(mean, shape.fold), shift = folded(beta, shape.fold);
  std::vector<float> scale = inverse_deviation(variance, eps, shape.fold);
  const std::vector<float> factor = folded(gamma, shape.fold);
  for (size_t i = 0; i < scale.size(); ++i) scale[i] *= factor[i];
  const float floor = relu ? 0.0f : -std::numeric_limits<float>::infinity();
  shape.each([&](int64_t, int64_t first, int64_t last) {
    Row at;
    alignas(64) float other[ROOM] = {};
    const float *m = middle.data(), *s = scale.data(), *b = shift.data();
    for (int64_t row = first; row < last; ++row) {
      at.read(map, row);
      if (added) load(other, added + row * shape.width, shape.width);
#pragma omp simd
      for (int64_t i = 0; i < shape.width; ++i) {
        const float value = (at.y[i] - m[i]) * s[i] + b[i] + other[i];
        at.y[i] = value < floor ? floor : value;  // not-a-number stays
      }
      store(to + row * shape.width, at.y, shape.width);
    }
  });
  const double share = map.gated() ? double(open) / double(shape.rows * map.decisions) : 1.0;
  return {out, mean, variance, gate_mean, gate_variance, share, kept};
}

Tensor as_vector(const std::vector<double>& values) {
  Tensor found = vector_of(values.size());
  std::copy(values.begin(), values.end(), found.mutable_data_ptr<float>());
  return found;
}

// grad, where the ReLU let it through
inline void read_gradient(float* __restrict g, const uint16_t* __restrict grad,
                          const uint16_t* __restrict out, int64_t width) {
  if (!out) return load(g, grad, width);
#pragma omp simd
  for (int64_t i = 0; i < width; ++i) g[i] = widen(out[i]) > 0.0f ? widen(grad[i]) : 0.0f;
}

// (grad of base, of full, of residual, of tau, of gamma, of beta); what was not there is empty
using Backward = std::tuple<Tensor, Tensor, Tensor, Tensor, Tensor, Tensor>;

Backward backward(const Tensor& grad, const Maybe& out, const Tensor& base, const Maybe& full,
                  const Maybe& tau, const Maybe& mask, const Tensor& gamma, const Tensor& mean,
                  const Tensor& variance, const Tensor& gate_mean, const Tensor& gate_variance,
                  bool residual, int64_t group, double gate_eps, double eps) {
  Map map(base, full, group);
  const Shape& shape = map.shape;
  const int64_t width = shape.width, decisions = map.decisions;
  check(grad, base, "gradient");
  if (out) check(*out, base, "output");
  const bool decides = map.gated() && !mask;
  if (mask) map.take_mask(*mask);
  if (decides) map.set_gate(gate_mean, gate_variance, *tau, gate_eps);
  const uint16_t *from = bits_of(grad), *shown = out ? bits_of(*out) : nullptr;
  const auto gradient = [&](float* g, int64_t row) {
    fetch(from + row * width, width);
    if (shown) fetch(shown + row * width, width);
    read_gradient(g, from + row * width, shown ? shown + row * width : nullptr, width);
  };
  Tensor grad_residual = residual ? at::empty_like(base) : at::empty({0}, base.options());
  const std::vector<float> middle = folded(mean, shape.fold);
  const std::vector<float> scale = inverse_deviation(variance, eps, shape.fold);

  // Normalisation: sums of g and of g yhat.
  Sums sums(shape, 2, width);
  shape.each([&](int64_t block, int64_t first, int64_t last) {
    Row at;
    alignas(64) float g[ROOM];
    const float *m = middle.data(), *s = scale.data();
    for (int64_t row = first; row < last; ++row) {
      at.read(map, row);
      gradient(g, row);
      float *__restrict sum = sums.of(block, 0), *__restrict product = sums.of(block, 1);
#pragma omp simd
      for (int64_t i = 0; i < width; ++i) {
        sum[i] += g[i];
        product[i] += g[i] * (at.y[i] - m[i]) * s[i];
      }
      if (residual) store(bits_of(grad_residual) + row * width, g, width);
    }
  });
  const std::vector<double> grad_beta = sums.total(0, shape.channels);
  const std::vector<double> grad_gamma = sums.total(1, shape.channels);
  const double count = double(shape.rows * shape.fold);
  std::vector<float> less(width), slope(width), factor = folded(gamma, shape.fold);
  for (int64_t i = 0; i < width; ++i) {
    less[i] = static_cast<float>(grad_beta[i % shape.channels] / count);
    slope[i] = static_cast<float>(grad_gamma[i % shape.channels] / count);
    factor[i] *= scale[i];
  }
  const auto through_norm = [&](float* __restrict g, const float* __restrict y) {
    const float *m = middle.data(), *s = scale.data();
    const float *l = less.data(), *p = slope.data(), *f = factor.data();
#pragma omp simd
    for (int64_t i = 0; i < width; ++i) g[i] = f[i] * (g[i] - l[i] - (y[i] - m[i]) * s[i] * p[i]);
  };
  // to: the margin's gradient, the sum over a group of (full - base) g times the step's slope
  const auto through_step = [&](float* to, const Row& at, const float* g, float* scratch) {
#pragma omp simd
    for (int64_t i = 0; i < width; ++i) scratch[i] = (at.full[i] - at.base[i]) * g[i];
    group_sums(to, scratch, decisions, group, 1.0f);
#pragma omp simd
    for (int64_t d = 0; d < decisions; ++d) to[d] *= slope_of_step(at.margin[d]);
  };

  // Gate: sums of the margin's gradient and of it times Z.
  std::vector<double> grad_margin(decides ? decisions / shape.fold : 0), grad_scale(grad_margin);
  std::vector<float> gate_less(decisions), gate_slope(decisions);
  if (decides) {
    Sums gate_sums(shape, 2, decisions);
    shape.each([&](int64_t block, int64_t first, int64_t last) {
      Row at;
      alignas(64) float g[ROOM], dm[ROOM], scratch[ROOM];
      for (int64_t row = first; row < last; ++row) {
        at.read(map, row);
        gradient(g, row);
        through_norm(g, at.y);
        through_step(dm, at, g, scratch);
        float *__restrict sum = gate_sums.of(block, 0), *__restrict product = gate_sums.of(block, 1);
#pragma omp simd
        for (int64_t d = 0; d < decisions; ++d) {
          sum[d] += dm[d];
          product[d] += dm[d] * at.z[d];
        }
      }
    });
    grad_margin = gate_sums.total(0, decisions / shape.fold);
    grad_scale = gate_sums.total(1, decisions / shape.fold);
    for (int64_t d = 0; d < decisions; ++d) {
      gate_less[d] = static_cast<float>(grad_margin[d % grad_margin.size()] / count);
      gate_slope[d] = static_cast<float>(grad_scale[d % grad_scale.size()] / count);
    }
    for (double& value : grad_margin) value = -value;  // of tau
  }

  Tensor grad_base = at::empty_like(base);
  Tensor grad_full = map.gated() ? at::empty_like(base) : at::empty({0}, base.options());
  uint16_t *to_base = bits_of(grad_base), *to_full = map.gated() ? bits_of(grad_full) : nullptr;
  shape.each([&](int64_t, int64_t first, int64_t last) {
    Row at;
    alignas(64) float g[ROOM], dm[ROOM], scratch[ROOM] = {};
    for (int64_t row = first; row < last; ++row) {
      at.read(map, row);
      gradient(g, row);
      through_norm(g, at.y);
      if (!map.gated()) {
        store(to_base + row * width, g, width);
        continue;
      }
      if (decides) {
        through_step(dm, at, g, scratch);
        const float *l = gate_less.data(), *p = gate_slope.data(), *s = map.gate_scale.data();
        const float share = 1.0f / static_cast<float>(group);
#pragma omp simd
        for (int64_t d = 0; d < decisions; ++d)
          dm[d] = share * s[d] * (dm[d] - l[d] - at.z[d] * p[d]);
        spread(scratch, dm, decisions, group);
      }
#pragma omp simd
      for (int64_t i = 0; i < width; ++i) {
        at.full[i] = at.wide[i] * g[i];
        at.base[i] = g[i] - at.full[i] + scratch[i];
      }
      store(to_full + row * width, at.full, width);
      store(to_base + row * width, at.base, width);
    }
  });
  return {grad_base, grad_full, grad_residual, as_vector(grad_margin), as_vector(grad_gamma),
          as_vector(grad_beta)};
}

}  // namespace

TORCH_LIBRARY(hwsim, library) {
  library.def("normalised", forward);
  library.def("normalised_backward", backward);
}
