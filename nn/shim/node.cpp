#include "node.h"

#include <algorithm>
#include <unordered_map>

#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/functions/utils.h>
#include <torch/csrc/autograd/graph_task.h>
#include <torch/csrc/autograd/variable.h>

namespace pavlov {
namespace {

using at::Tensor;
using torch::autograd::variable_list;

using ExecInfo = std::unordered_map<torch::autograd::Node*, torch::autograd::GraphTask::ExecInfo>;

// The restriction of the running pass of autograd; null for a plain backward(), which runs everything.
const ExecInfo* restriction() {
  const ExecInfo* info = torch::autograd::get_current_graph_task_exec_info();
  return info && !info->empty() ? info : nullptr;
}

// True if the pass wants what comes over this edge to a parameter: to add it to a gradient, or to return it.
struct Purpose {
  bool accumulates = false;
  bool captures = false;
};

Purpose purpose_of(const torch::autograd::Edge& edge, const ExecInfo* restriction) {
  if (!edge.is_valid()) return {};
  if (!restriction) return {true, false};
  const auto found = restriction->find(edge.function.get());
  if (found == restriction->end()) return {};
  Purpose purpose{found->second.needed_, false};
  if (!found->second.captures_) return purpose;
  // All parameters of an arena are outputs of one node: those that are asked for go by their number.
  for (const auto& capture : *found->second.captures_)
    if (capture.input_idx_ == static_cast<int>(edge.input_nr)) purpose.captures = true;
  return purpose;
}

constexpr const char* kRanBefore =
    "the backward pass of a fused network ran before and its saved tensors are freed: keep the graph "
    "(keep_graph = true) in the first backward pass, or call the network again";
constexpr const char* kNoGraphInArena =
    "backward() with create_graph: the gradients of a network's parameters accumulate in an arena, which "
    "holds no graph. Take autograd::grad (Tensor::run_backward) with respect to the inputs or the "
    "parameters, "
    "with create_graph, and call backward() on what is computed from the result";

}  // namespace

void check_no_graph() { TORCH_CHECK(!at::GradMode::is_enabled(), kNoGraphInArena); }

Parameter::Parameter(const ParameterHandle& handle) : value(*handle.value), version(value._version()) {
  TORCH_CHECK(value.defined() && (!handle.gradient || handle.gradient->defined()),
              "a parameter is an undefined tensor");
  if (handle.gradient) gradient = *handle.gradient;
  TORCH_CHECK(value.scalar_type() == at::kFloat, "a network's parameters are f32");
  TORCH_CHECK(
      !gradient.defined() || (gradient.sizes() == value.sizes() && gradient.device() == value.device() &&
                              gradient.scalar_type() == at::kFloat),
      "a gradient must have its parameter's shape, type and device");
}

void Parameter::check(at::IntArrayRef sizes, const char* what) const {
  check_plain(value, sizes, what);
  if (is_trained()) check_plain(gradient, sizes, "a parameter's gradient");
}

bool is_recorded(const Tensor& x, const Parameters& parameters) {
  if (!at::GradMode::is_enabled()) return false;
  const auto trained = [](const Parameter& parameter) { return parameter.is_trained(); };
  return x.requires_grad() || std::any_of(parameters.begin(), parameters.end(), trained);
}

void FusedNode::record(const Tensor& x, const Tensor& output, bool reads_output) {
  torch::autograd::edge_list edges;
  edges.reserve(1 + parameters_.size());
  const auto add = [&](const Tensor& tensor, bool wanted) {
    edges.push_back(wanted ? torch::autograd::impl::gradient_edge(tensor) : torch::autograd::Edge());
  };
  add(x, x.requires_grad());
  for (const Parameter& parameter : parameters_) add(parameter.value, parameter.is_trained());
  set_next_edges(std::move(edges));
  input_ = x.is_leaf() && x.requires_grad() ? x : x.detach();
  input_version_ = x._version();
  if (reads_output) {
    output_ = output.detach();
    output_version_ = output._version();
  }
  torch::autograd::set_history(output, getptr());
}

void FusedNode::run(const Tensor& gradient) {
  const std::lock_guard<std::mutex> lock(mutex_);
  const Wanted wanted{false, true, false};
  TORCH_CHECK(!is_released_, kRanBefore);
  check_versions(wanted);
  backward_alone(gradient, wanted);
  free();
}

// The backward pass by hand, while no other adds to the same gradients.
Tensor FusedNode::backward_alone(const Tensor& gradient, Wanted wanted) {
  std::unique_lock<std::mutex> adding;
  for (size_t i = 0; wanted.parameters && i < parameters_.size(); ++i) {
    if (!parameters_[i].is_trained()) continue;
    // All that is trained comes from one arena.
    if (auto* arena = dynamic_cast<ArenaNode*>(next_edge(i + 1).function.get()))
      adding = std::unique_lock<std::mutex>(arena->adding());
    break;
  }
  at::AutoDispatchBelowADInplaceOrView guard;
  return backward(in_one_piece(gradient), wanted);
}

variable_list FusedNode::apply(variable_list&& gradients) {
  const std::lock_guard<std::mutex> lock(mutex_);
  variable_list result(num_outputs());
  if (!gradients[0].defined()) return result;
  TORCH_CHECK(!is_released_, kRanBefore);
  const ExecInfo* only = restriction();
  const bool create_graph = at::GradMode::is_enabled();
  std::vector<size_t> asked;
  if (task_should_compute_output(0)) asked.push_back(0);
  const Wanted wanted{!asked.empty(), !only, torch::autograd::get_current_graph_task_keep_graph()};
  for (size_t i = 1; i < num_outputs(); ++i) {
    const Purpose purpose = purpose_of(next_edge(i), only);
    if (purpose.accumulates) check_no_graph();
    if (only && (purpose.accumulates || purpose.captures)) asked.push_back(i);
  }
  // Another network's parameter in the same arena may be what is asked for.
  if (only && asked.empty()) return result;
  check_versions(wanted);
  if (create_graph || asked.size() > wanted.input) {
    result = derive(gradients[0], asked, create_graph);
  } else {
    Tensor input_gradient = backward_alone(gradients[0], wanted);
    if (wanted.input) result[0] = std::move(input_gradient);
  }
  // Before another thread comes in.
  if (!wanted.again) free();
  return result;
}

void FusedNode::release_variables() {
  const std::lock_guard<std::mutex> lock(mutex_);
  free();
}

void FusedNode::free() {
  is_released_ = true;
  parameters_.clear();
  input_.reset();
  output_.reset();
  release();
}

void FusedNode::check_versions(Wanted wanted) const {
  for (const Parameter& parameter : parameters_)
    TORCH_CHECK(parameter.value._version() == parameter.version,
                "the network's weights were changed between its forward and its backward pass");
  TORCH_CHECK(!wanted.parameters || input_._version() == input_version_,
              "the network's input was changed in place between its forward and its backward pass");
  TORCH_CHECK(
      !output_.defined() || output_._version() == output_version_,
      "the network's output was changed in place before its backward pass: use an operation that gives "
      "a new tensor");
}

Tensor FusedNode::input_with_graph() const {
  TORCH_CHECK(input_._version() == input_version_,
              "the network's input was changed in place between its forward and its backward pass");
  const auto& edge = next_edge(0);
  if (input_.requires_grad() || !edge.is_valid()) return input_;
  Tensor x = input_.detach();
  torch::autograd::impl::set_gradient_edge(x, edge);
  return x;
}

// Runs the network again, by recorded operations from the input and the parameters, and lets autograd derive
// what is asked for: the input is edge 0, the parameters are those after it. With `create_graph` the result
// depends on input, parameters and gradient through operations alone, so that autograd derives it as often as
// it is asked to.
variable_list FusedNode::derive(const Tensor& gradient, const std::vector<size_t>& asked, bool create_graph) {
  const at::AutoGradMode recording(true);
  const Tensor x = input_with_graph();
  std::vector<Tensor> values;
  for (const Parameter& parameter : parameters_)
    values.push_back(parameter.is_trained() ? parameter.value : parameter.value.detach());
  variable_list by;
  for (size_t i : asked) by.push_back(i == 0 ? x : values[i - 1]);
  const Tensor y = by_operations(x, values);
  const auto derived = torch::autograd::grad({y}, by, {gradient}, create_graph, create_graph, true);
  variable_list result(num_outputs());
  for (size_t i = 0; i < asked.size(); ++i) result[asked[i]] = derived[i];
  return result;
}

}  // namespace pavlov
