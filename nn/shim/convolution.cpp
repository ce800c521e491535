#include "convolution.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "blas.h"
#include "product.h"
#include "product_bf16.h"
#include "room.h"
#include "team.h"
#include "transpose.h"
#include "vectorised.h"

// Each image goes through all layers by itself, its numbers in the order height, width, channels: what one
// output sees of one row of the image then lies side by side, and is copied as one piece. The windows of some
// outputs make a matrix, small enough for the nearest caches, whose product with the weight is those outputs.

namespace pavlov {
namespace {

using Numbers = std::vector<float>;

// The weight in the order of windows, [filters, window].
Numbers by_filter(const ConvLayer& layer) {
  const int64_t window = layer.window(), square = layer.kernel * layer.kernel;
  Numbers out(window * layer.filters);
  for (int64_t f = 0; f < layer.filters; ++f)
    transpose(layer.weight + f * window, square, layer.channels, square, out.data() + f * window,
              layer.channels);
  return out;
}

// Turned round, [window, filters].
Numbers by_window(const ConvLayer& layer) {
  const Numbers turned = by_filter(layer);
  Numbers out(turned.size());
  transpose(turned.data(), layer.window(), layer.filters, layer.window(), out.data(), layer.filters);
  return out;
}

std::vector<Numbers> of_each(const std::vector<ConvLayer>& layers, Numbers (*order)(const ConvLayer&)) {
  std::vector<Numbers> weights;
  weights.reserve(layers.size());
  for (const ConvLayer& layer : layers) weights.push_back(order(layer));
  return weights;
}

// Adds sums in the order [window, filters] to a gradient in the order of the weight.
void add_unfolded(const ConvLayer& layer, const float* sums) {
  const int64_t window = layer.window(), square = layer.kernel * layer.kernel;
  for (int64_t f = 0; f < layer.filters; ++f)
    for (int64_t c = 0; c < layer.channels; ++c)
      for (int64_t s = 0; s < square; ++s)
        layer.weight_gradient[f * window + c * square + s] +=
            sums[(s * layer.channels + c) * layer.filters + f];
}

// A layer's input with its padding.
struct Frame {
  int64_t height, width, row;  // a row's length in numbers
  int64_t size() const { return height * row; }
};

Frame frame_of(const ConvLayer& layer) {
  const int64_t width = layer.width + 2 * layer.padding;
  return {layer.height + 2 * layer.padding, width, width * layer.channels};
}

// The input in its frame: where it is if it needs none, else in `room`.
const float* framed(const ConvLayer& layer, const float* input, Numbers& room) {
  if (layer.padding == 0) return input;
  const Frame frame = frame_of(layer);
  float* numbers = room_for(room, frame.size());
  std::fill_n(numbers, frame.size(), 0.0f);
  const int64_t row = layer.width * layer.channels;
  float* inside = numbers + layer.padding * (frame.row + layer.channels);
  for (int64_t y = 0; y < layer.height; ++y) std::copy_n(input + y * row, row, inside + y * frame.row);
  return numbers;
}

// So many numbers of windows are multiplied at a time: a quarter of a second cache, whose rest the weight
// takes. With fewer rows the weight would be read too often.
constexpr int64_t kBlock = 65536;

// And so many numbers of a weight, which products take as a small factor (product.cpp).
constexpr int64_t kPiece = 32768;

// Channels that a pooling looks at together.
constexpr int64_t kChannels = 64;

// Whole rows of squares.
int64_t rows_at_a_time(const ConvLayer& layer) {
  const int64_t fitting = kBlock / (layer.out_width() * layer.window()) / layer.pool;
  return std::clamp<int64_t>(fitting, 1, layer.given_height()) * layer.pool;
}

// So much of each window goes into one product: whole vectors.
int64_t piece_of(const ConvLayer& layer) { return std::max<int64_t>(16, kPiece / layer.filters / 16 * 16); }

// to[i] = from[i], in vectors of 4 to 16: pieces are short, and mostly of a length that such vectors fill.
INLINED void copy_piece(float* to, const float* from, int64_t count) {
  int64_t i = 0;
  for (; i + 16 <= count; i += 16) std::memcpy(to + i, from + i, 16 * sizeof(float));
  for (; i + 4 <= count; i += 4) std::memcpy(to + i, from + i, 4 * sizeof(float));
  for (; i < count; ++i) to[i] = from[i];
}

// The windows of `count` rows of outputs, [count * out_width, window].
VECTORISED void gather(const ConvLayer& layer, const float* input, int64_t first, int64_t count,
                       float* windows) {
  const int64_t piece = layer.kernel * layer.channels, row = frame_of(layer).row,
                step = layer.stride * layer.channels;
  const int64_t width = layer.out_width(), kernel = layer.kernel;
  for (int64_t y = first; y < first + count; ++y) {
    const float* from = input + y * layer.stride * row;
    for (int64_t x = 0; x < width; ++x, from += step)
      for (int64_t k = 0; k < kernel; ++k, windows += piece) copy_piece(windows, from + k * row, piece);
  }
}

// Adds the windows' gradients to those of the input.
VECTORISED void scatter(const ConvLayer& layer, float* input, int64_t first, int64_t count,
                        const float* windows) {
  const int64_t piece = layer.kernel * layer.channels, row = frame_of(layer).row,
                step = layer.stride * layer.channels;
  const int64_t width = layer.out_width(), kernel = layer.kernel;
  for (int64_t y = first; y < first + count; ++y) {
    float* to = input + y * layer.stride * row;
    for (int64_t x = 0; x < width; ++x, to += step)
      for (int64_t k = 0; k < kernel; ++k, windows += piece)
        for (int64_t i = 0; i < piece; ++i) to[k * row + i] += windows[i];
  }
}

// Written so that NaN passes through: a network that has diverged must show it.
VECTORISED void relu(float* y, int64_t count) {
  for (int64_t i = 0; i < count; ++i) y[i] = y[i] < 0.0f ? 0.0f : y[i];
}

// The gradient of the ReLU's input, whose output was y.
VECTORISED void relu_backward(float* out, const float* gradient, const float* y, int64_t count) {
  for (int64_t i = 0; i < count; ++i) out[i] = y[i] <= 0.0f ? 0.0f : gradient[i];
}

// The largest numbers of the squares of `count` rows of outputs ([count, width, filters]), and their places in
// the squares where `winners` has room. The first NaN wins, so that it passes through here too.
VECTORISED void pool_rows(const ConvLayer& layer, const float* rows, int64_t count, float* out,
                          uint8_t* winners) {
  const int64_t width = layer.out_width(), filters = layer.filters, pool = layer.pool;
  int32_t places[kChannels];
  for (int64_t y = 0; y + pool <= count; y += pool)
    for (int64_t x = 0; x + pool <= width; x += pool)
      for (int64_t begin = 0; begin < filters; begin += kChannels) {
        const int64_t channels = std::min(kChannels, filters - begin);
        const float* square = rows + (y * width + x) * filters + begin;
        float* best = out + ((y / pool) * (width / pool) + x / pool) * filters + begin;
        std::copy_n(square, channels, best);
        std::fill_n(places, channels, 0);
        for (int64_t place = 1; place < pool * pool; ++place) {
          const float* other = square + ((place / pool) * width + place % pool) * filters;
          for (int64_t c = 0; c < channels; ++c) {
            const bool wins = other[c] > best[c] || (other[c] != other[c] && best[c] == best[c]);
            best[c] = wins ? other[c] : best[c];
            places[c] = wins ? static_cast<int32_t>(place) : places[c];
          }
        }
        if (!winners) continue;
        uint8_t* kept = winners + (best - out);
        for (int64_t c = 0; c < channels; ++c) kept[c] = static_cast<uint8_t>(places[c]);
      }
}

// The gradient of those rows: that of what was given at its place, 0 elsewhere.
VECTORISED void unpool_rows(const ConvLayer& layer, const float* gradient, const uint8_t* winners,
                            int64_t count, float* rows) {
  const int64_t width = layer.out_width(), filters = layer.filters, pool = layer.pool;
  // Columns of a square that is cut off give nothing; all others are written below.
  const int64_t used = layer.given_width() * pool;
  for (int64_t y = 0; y < count; ++y)
    std::fill_n(rows + (y * width + used) * filters, (width - used) * filters, 0.0f);
  for (int64_t y = 0; y + pool <= count; y += pool)
    for (int64_t x = 0; x + pool <= width; x += pool) {
      const int64_t at = ((y / pool) * (width / pool) + x / pool) * filters;
      for (int64_t place = 0; place < pool * pool; ++place) {
        float* to = rows + ((y + place / pool) * width + x + place % pool) * filters;
        for (int64_t c = 0; c < filters; ++c) to[c] = winners[at + c] == place ? gradient[at + c] : 0.0f;
      }
    }
}

VECTORISED void add_rows(float* sums, const float* rows, int64_t count, int64_t width) {
  for (int64_t r = 0; r < count; ++r)
    for (int64_t c = 0; c < width; ++c) sums[c] += rows[r * width + c];
}

// Parts are images. How many depends on shapes alone, so that sums over parts are the same for any number of
// threads.
int parts_of(const std::vector<ConvLayer>& layers, int64_t batch) {
  // Below this many products a part is over before another thread has noticed it.
  constexpr int64_t kWorthwhile = 1 << 19;
  constexpr int64_t kParts = 4;
  int64_t products = 0;
  for (const ConvLayer& layer : layers)
    products += batch * layer.used_height() * layer.out_width() * layer.window() * layer.filters;
  return static_cast<int>(std::clamp<int64_t>(std::min(batch, products / kWorthwhile), 1, kParts));
}

// The memory that one thread needs besides the tensors. Kept from call to call.
struct Workspace {
  Numbers windows, outputs, frame, image;
  Numbers between[2];
};

Workspace& workspace() {
  thread_local Workspace room;
  return room;
}

// The image in the order height, width, channels.
const float* image_of(const ConvLayer& first, const ConvBatch& batch, int64_t index, Numbers& room) {
  const float* image = batch.images + index * batch.stride;
  if (!batch.channels_first || first.channels == 1) return image;
  const int64_t pixels = first.height * first.width;
  float* out = room_for(room, pixels * first.channels);
  transpose(image, pixels, first.channels, pixels, out, first.channels);
  return out;
}

using Product = decltype(&product);

// `weight` by window. `winners` may be null.
void forward(const ConvLayer& layer, Product multiply, const Numbers& weight, const float* input,
             float* output, uint8_t* winners, Workspace& room) {
  const int64_t rows = rows_at_a_time(layer), width = layer.out_width(), window = layer.window();
  const int64_t piece = piece_of(layer), pool = layer.pool;
  float* windows = room_for(room.windows, rows * width * window);
  float* pooled = pool > 1 ? room_for(room.outputs, rows * width * layer.filters) : nullptr;
  for (int64_t y = 0; y < layer.used_height(); y += rows) {
    const int64_t count = std::min(rows, layer.used_height() - y), positions = count * width;
    const int64_t given = y / pool * layer.given_width() * layer.filters;
    float* out = pooled ? pooled : output + given;
    gather(layer, input, y, count, windows);
    for (int64_t k = 0; k < window; k += piece)
      multiply(positions, layer.filters, std::min(piece, window - k), {windows + k, window},
               {weight.data() + k * layer.filters, layer.filters}, k == 0 ? Start::kRow : Start::kItself,
               layer.bias, out, layer.filters, {});
    if (pooled) pool_rows(layer, pooled, count, output + given, winners ? winners + given : nullptr);
    // The largest number of a square is the same before and after the ReLU, and there are fewer behind it.
    relu(output + given, count / pool * layer.given_width() * layer.filters);
  }
}

// `weight` by filter; `gradient` is that of what the ReLU was given. Adds to `sums` ([window, filters]) and to
// the gradient of the framed input; either may be null.
void backward(const ConvLayer& layer, Product multiply, const Numbers& weight, const float* input,
              const float* gradient, const uint8_t* winners, float* sums, float* input_gradient,
              Workspace& room) {
  const int64_t rows = rows_at_a_time(layer), width = layer.out_width(), window = layer.window();
  const int64_t filters = layer.filters, pool = layer.pool;
  const int64_t piece = piece_of(layer);
  float* windows = room_for(room.windows, rows * width * window);
  float* unpooled = pool > 1 ? room_for(room.outputs, rows * width * filters) : nullptr;
  for (int64_t y = 0; y < layer.used_height(); y += rows) {
    const int64_t count = std::min(rows, layer.used_height() - y), positions = count * width;
    const int64_t given = y / pool * layer.given_width() * filters;
    const float* g = gradient + given;
    if (unpooled) {
      unpool_rows(layer, g, winners + given, count, unpooled);
      g = unpooled;
    }
    if (sums) {
      gather(layer, input, y, count, windows);
      multiply(window, filters, positions, {windows, window, true}, {g, filters}, Start::kItself, nullptr,
               sums, filters, {});
    }
    if (input_gradient) {
      for (int64_t k = 0; k < window; k += piece)
        multiply(positions, std::min(piece, window - k), filters, {g, filters}, {weight.data() + k, window},
                 Start::kZero, nullptr, windows + k, window, {});
      scatter(layer, input_gradient, y, count, windows);
    }
  }
}

// The sums that a part of the batch adds to the gradients of all layers: weights in the order [window,
// filters], then biases.
struct Sums {
  std::vector<Numbers> weights, biases;
};

class Backward {
 public:
  Backward(const std::vector<ConvLayer>& layers, const ConvBatch& batch, const std::vector<Numbers>& weights,
           const float* gradient, float* image_gradient)
      : layers_(layers),
        batch_(batch),
        weights_(weights),
        gradient_(gradient),
        image_gradient_(image_gradient) {
    const auto trained = [](const ConvLayer& layer) { return layer.weight_gradient || layer.bias_gradient; };
    lowest_ = std::find_if(layers.begin(), layers.end(), trained) - layers.begin();
  }

  void image(int64_t index, Sums& sums) const {
    Workspace& room = workspace();
    const ConvLayer& last = layers_.back();
    int64_t widest = 0;
    for (const ConvLayer& layer : layers_)
      widest = std::max({widest, layer.positions() * layer.filters, frame_of(layer).size()});
    float* gradient = room_for(room.between[0], widest);
    float* other = room_for(room.between[1], widest);
    // Through the last ReLU in the output's order, then into ours.
    const int64_t outputs = last.positions() * last.filters, at = index * outputs;
    relu_backward(other, gradient_ + at, batch_.output + at, outputs);
    transpose(other, last.positions(), last.filters, last.positions(), gradient, last.filters);
    for (size_t i = layers_.size(); i-- > 0;) {
      const ConvLayer& layer = layers_[i];
      const bool wanted = i > lowest_ || image_gradient_;
      const float* input = i > 0 ? layers_[i - 1].output + index * layers_[i - 1].positions() * layer.channels
                                 : image_of(layer, batch_, index, room.image);
      const Frame frame = frame_of(layer);
      if (wanted) std::fill_n(other, frame.size(), 0.0f);
      backward(layer, batch_.bf16 ? product_bf16 : product, weights_[i], framed(layer, input, room.frame),
               gradient, layer.winners ? layer.winners + index * layer.positions() * layer.filters : nullptr,
               layer.weight_gradient ? sums.weights[i].data() : nullptr, wanted ? other : nullptr, room);
      if (layer.bias_gradient) add_rows(sums.biases[i].data(), gradient, layer.positions(), layer.filters);
      if (!wanted) return;
      unframe(layer, frame, other);
      const int64_t count = layer.height * layer.width * layer.channels;
      if (i == 0) return hand_out(layer, index, other);
      relu_backward(gradient, other, input, count);
    }
  }

 private:
  // Takes the padding away, in place.
  static void unframe(const ConvLayer& layer, const Frame& frame, float* numbers) {
    if (layer.padding == 0) return;
    const int64_t row = layer.width * layer.channels;
    const float* inside = numbers + layer.padding * (frame.row + layer.channels);
    for (int64_t y = 0; y < layer.height; ++y) std::copy_n(inside + y * frame.row, row, numbers + y * row);
  }

  void hand_out(const ConvLayer& first, int64_t index, const float* gradient) const {
    const int64_t pixels = first.height * first.width, count = pixels * first.channels;
    float* out = image_gradient_ + index * count;
    if (batch_.channels_first) transpose(gradient, first.channels, pixels, first.channels, out, pixels);
    else std::copy_n(gradient, count, out);
  }

  const std::vector<ConvLayer>& layers_;
  const ConvBatch& batch_;
  const std::vector<Numbers>& weights_;
  const float* gradient_;
  float* image_gradient_;
  // The first layer that is trained.
  size_t lowest_;
};

}  // namespace

void convolution_forward(const std::vector<ConvLayer>& layers, const ConvBatch& batch) {
  const OneBlasThread guard;
  const std::vector<Numbers> weights = of_each(layers, by_window);
  const int parts = parts_of(layers, batch.count);
  auto images = [&](int part) {
    Workspace& room = workspace();
    const Range range = part_of(batch.count, part, parts);
    for (int64_t index = range.begin; index < range.begin + range.count; ++index) {
      const float* input = image_of(layers.front(), batch, index, room.image);
      for (size_t i = 0; i < layers.size(); ++i) {
        const ConvLayer& layer = layers[i];
        const int64_t outputs = layer.positions() * layer.filters;
        float* output =
            layer.output ? layer.output + index * outputs : room_for(room.between[i % 2], outputs);
        forward(layer, batch.bf16 ? product_bf16 : product, weights[i], framed(layer, input, room.frame),
                output, layer.winners ? layer.winners + index * outputs : nullptr, room);
        input = output;
      }
      const ConvLayer& last = layers.back();
      const int64_t outputs = last.positions() * last.filters;
      transpose(input, last.filters, last.positions(), last.filters, batch.output + index * outputs,
                last.positions());
    }
  };
  share(parts, images);
}

void convolution_backward(const std::vector<ConvLayer>& layers, const ConvBatch& batch, const float* gradient,
                          float* image_gradient) {
  const OneBlasThread guard;
  const std::vector<Numbers> weights = of_each(layers, by_filter);
  const Backward pass(layers, batch, weights, gradient, image_gradient);
  const int parts = parts_of(layers, batch.count);
  std::vector<Sums> sums(parts);
  auto images = [&](int part) {
    for (const ConvLayer& layer : layers) {
      sums[part].weights.emplace_back(layer.window() * layer.filters);
      sums[part].biases.emplace_back(layer.filters);
    }
    const Range range = part_of(batch.count, part, parts);
    for (int64_t index = range.begin; index < range.begin + range.count; ++index)
      pass.image(index, sums[part]);
  };
  share(parts, images);
  for (size_t i = 0; i < layers.size(); ++i) {
    if (layers[i].weight_gradient) {
      Numbers& total = sums[0].weights[i];
      for (int part = 1; part < parts; ++part)
        add_rows(total.data(), sums[part].weights[i].data(), 1, total.size());
      add_unfolded(layers[i], total.data());
    }
    for (const Sums& part : sums)
      if (layers[i].bias_gradient)
        add_rows(layers[i].bias_gradient, part.biases[i].data(), 1, layers[i].filters);
  }
}

}  // namespace pavlov
