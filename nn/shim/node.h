// The base of the autograd nodes that are whole networks.
//
// A backward pass of such a node adds the gradients of the parameters straight to the arena's views, and
// returns the gradient of the input alone. Which of them it computes follows from what autograd is asked for:
//
//   backward()                            adds to the arena; returns the input's gradient if it has a graph
//   autograd::grad, inputs alone          returns the input's gradient and leaves the arena untouched
//   autograd::grad, parameters too        runs the network again by recorded operations and derives those
//   autograd::grad with create_graph      likewise, so that the result can be derived once more
//   backward() with create_graph          is an error, unless all parameters are frozen
//
// Two threads may run backward passes at once. Each node lets one in at a time, and the second finds what was
// saved freed, as if it had come later; nodes of one arena add to its gradients one after the other.
#pragma once

#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/variable.h>

#include "checked.h"

namespace pavlov {

// A parameter as Rust hands it over. The gradient of a frozen one is null.
struct ParameterHandle {
  Handle value;
  Handle gradient;
};

struct Parameter {
  at::Tensor value;     // an output of the arena's node (arena.cpp), unless it is frozen
  at::Tensor gradient;  // where the gradient accumulates; undefined if the parameter is frozen
  uint32_t version;     // of the value when the forward pass ran

  explicit Parameter(const ParameterHandle& handle);
  bool is_trained() const { return gradient.defined(); }
  // Fails unless the value is plain f32 of these sizes, and the gradient, if there is one, likewise.
  void check(at::IntArrayRef sizes, const char* what) const;
  const float* numbers() const { return value.const_data_ptr<float>(); }
  float* gradient_numbers() const { return is_trained() ? gradient.data_ptr<float>() : nullptr; }
};

using Parameters = std::vector<Parameter>;

// Refuses to add a gradient that has a graph to an arena: backward() with create_graph.
void check_no_graph();

// The node that all parameters of an arena come from (arena.cpp).
class ArenaNode final : public torch::autograd::Node {
 public:
  // Makes `parameter` an output of this node, whose gradient accumulates in `gradient`.
  void add(const at::Tensor& parameter, const at::Tensor& gradient);

  // Held by whoever adds to the arena's gradients.
  std::mutex& adding() { return adding_; }

  torch::autograd::variable_list apply(torch::autograd::variable_list&& incoming) override;
  std::string name() const override { return "ParametersBackward"; }

 private:
  std::vector<at::Tensor> gradients_;
  std::mutex adding_;
};

// The writes in place to a tensor, which may not go on after the forward pass has read it.
class Writes {
 public:
  explicit Writes(const at::Tensor& tensor)
      : count_(torch::autograd::impl::version_counter(tensor)),
        seen_(count_.current_version()) {}
  bool went_on() const { return count_.current_version() != seen_; }

 private:
  c10::VariableVersion count_;
  uint32_t seen_;
};

// True if autograd records a pass from `x` through these parameters.
bool is_recorded(const at::Tensor& x, const Parameters& parameters);

// The results that a backward pass is asked for.
struct Wanted {
  bool input;
  bool parameters;  // to add to the gradients of those that are trained
  bool again;       // to leave the node ready for another backward pass
};

class FusedNode : public torch::autograd::Node {
 public:
  explicit FusedNode(Parameters parameters) : parameters_(std::move(parameters)) {}

  // Makes this node the one that computed `output` from `x`. If its backward pass reads the output, changing
  // that in place becomes an error.
  void record(const at::Tensor& x, const at::Tensor& output, bool reads_output);

  // True if the graph ends here: no gradient goes on to the input.
  bool is_end() const { return !next_edge(0).is_valid(); }

  // The backward pass of a node where the graph ends, without autograd's engine, and once.
  void run(const at::Tensor& gradient);

  torch::autograd::variable_list apply(torch::autograd::variable_list&& gradients) final;
  void release_variables() final;

 protected:
  const Parameters& parameters() const { return parameters_; }

  // The gradient of the input, if it is wanted, from that of the output. Runs below autograd.
  virtual at::Tensor backward(const at::Tensor& gradient, Wanted wanted) = 0;

  // The output for `x`, by operations that autograd records. `parameters` are in the order of the node's.
  virtual at::Tensor by_operations(const at::Tensor& x, const std::vector<at::Tensor>& parameters) = 0;

  // Frees what the backward pass would need.
  virtual void release() = 0;

 private:
  void check_versions(Wanted wanted) const;
  at::Tensor backward_alone(const at::Tensor& gradient, Wanted wanted);
  void free();
  at::Tensor input_with_graph() const;
  torch::autograd::variable_list derive(const at::Tensor& gradient, const std::vector<size_t>& asked,
                                        bool create_graph);

  Parameters parameters_;
  bool is_released_ = false;
  // The input: itself if it is a leaf that is derived for, else without its graph, which the node's first
  // edge leads to. Holding the input itself could make a circle, since operations in place may put it behind
  // this node.
  at::Tensor input_;
  uint32_t input_version_ = 0;
  // The output without its graph, if the backward pass reads it.
  at::Tensor output_;
  uint32_t output_version_ = 0;
};

// The node, owned as autograd demands.
template <typename T, typename... Arguments>
std::shared_ptr<T> make_node(Arguments&&... arguments) {
  return std::shared_ptr<T>(new T(std::forward<Arguments>(arguments)...), torch::autograd::deleteNode);
}

}  // namespace pavlov
