// An exported network with all that is carried from frame to frame: steps 2, 5 and 6 of "The
// contract of a graph" (docs/deployment.md). A vehicle can take this file as it is.
#pragma once

#include <onnxruntime_cxx_api.h>

#include <cstring>
#include <deque>
#include <optional>
#include <set>

#include "recording.h"

using recording::Arrays;
using recording::Frame;
using recording::Pose;
using recording::Settings;
using Tensors = std::map<std::string, Ort::Value>;
using Shape = std::vector<int64_t>;

constexpr Pose kIdentity{1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1};
const std::map<std::string, ONNXTensorElementDataType> kTypes{
    // by NumPy's kind and bytes
    {"b1", ONNX_TENSOR_ELEMENT_DATA_TYPE_BOOL},    {"u1", ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT8},
    {"i4", ONNX_TENSOR_ELEMENT_DATA_TYPE_INT32},   {"i8", ONNX_TENSOR_ELEMENT_DATA_TYPE_INT64},
    {"f2", ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT16}, {"f4", ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT}};

// Returns b_from_c of the rigid transforms a_from_b and a_from_c.
inline Pose relative(const Pose& a_from_b, const Pose& a_from_c) {
  Pose b_from_c = kIdentity;
  for (int row = 0; row < 3; ++row) {
    for (int column = 0; column < 4; ++column) {
      double sum = 0;
      for (int k = 0; k < 3; ++k) {
        const double origin = column == 3 ? a_from_b[4 * k + 3] : 0;
        sum += a_from_b[4 * k + row] * (a_from_c[4 * k + column] - origin);
      }
      b_from_c[4 * row + column] = sum;
    }
  }
  return b_from_c;
}

class StreamedNetwork {
 public:
  // Throws std::runtime_error for a graph that is not a whole step, and for settings that no
  // network has.
  StreamedNetwork(const char* graph, const Settings& settings)
      : session_(environment_, graph, on_one_thread()),
        max_gap_us_(microseconds(settings.number("config.max_gap_s", 0))),
        tolerance_us_(microseconds(settings.number("config.static.tolerance_s", 0))),
        most_kept_(settings.count("config.static.memory_frames", 2)) {
    Ort::AllocatorWithDefaultOptions allocator;
    for (size_t i = 0; i < session_.GetInputCount(); ++i) {
      const auto info = session_.GetInputTypeInfo(i);
      const auto tensor = info.GetTensorTypeAndShapeInfo();
      inputs_[session_.GetInputNameAllocated(i, allocator).get()] = {tensor.GetElementType(),
                                                                     tensor.GetShape()};
    }
    for (size_t i = 0; i < session_.GetOutputCount(); ++i) {
      outputs_.emplace(session_.GetOutputNameAllocated(i, allocator).get());
    }
    check_is_step(graph);
    for (const double age_s : settings.numbers("config.static.past_s", 0, 0)) {
      ages_us_.push_back(microseconds(age_s));
    }
    const auto past = inputs_.find("past_bev");
    if (past != inputs_.end() && (past->second.shape.size() < 2 ||
                                   past->second.shape[1] != int64_t(ages_us_.size()))) {
      throw settings.fault("config.static.past_s", "has not as many values as past_bev has ages");
    }
  }

  // Runs one frame; `sensors` are the inputs that depend on no other frame. Returns the outputs,
  // but for those that are the memory of the next frame.
  Tensors step(const Frame& frame, Arrays& sensors) {
    Tensors inputs = std::move(memory_);
    const auto here = Ort::MemoryInfo::CreateCpu(OrtArenaAllocator, OrtMemTypeDefault);
    for (auto& [name, array] : sensors) {  // not copied
      const auto type = kTypes.find(array.type);
      if (type == kTypes.end()) {
        throw std::runtime_error("the input " + name + " is recorded as " + array.type +
                                 ", a type that no graph takes");
      }
      inputs.emplace(name, Ort::Value::CreateTensor(here, array.bytes.data(), array.bytes.size(),
                                                    array.shape.data(), array.shape.size(),
                                                    type->second));
    }
    add_motion(frame, inputs);
    if (inputs_.count("past_bev")) add_past(frame, inputs);
    Tensors outputs = run(inputs);
    if (inputs_.count("past_bev")) keep_features(frame, outputs);
    memory_.clear();
    for (const auto& [name, input] : inputs_) {  // step 5
      auto next = outputs.extract("next_" + name);
      if (next) memory_.emplace(name, std::move(next.mapped()));
    }
    return outputs;
  }

 private:
  struct Input {
    ONNXTensorElementDataType type;
    Shape shape;
  };
  struct KeptFeatures {
    Frame frame;
    Ort::Value bev;
  };

  static Ort::SessionOptions on_one_thread() {
    Ort::SessionOptions options;
    options.SetIntraOpNumThreads(1);
    return options;
  }

  // A graph of `leapai export --graphs parts` takes or gives `bev`, which is no memory, although the
  // map's graph gives a `next_bev`.
  void check_is_step(const std::string& graph) const {
    if (inputs_.count("bev") || outputs_.count("bev")) {
      throw std::runtime_error(graph + " is a part of a step, and only a step that is one graph " +
                               "is run here: leapai export --graphs step");
    }
    if (!outputs_.count("class_logits") && !outputs_.count("map_logits")) {
      throw std::runtime_error(graph + " gives neither class_logits nor map_logits: name the " +
                               "step.onnx that leapai export wrote");
    }
    const std::vector<std::array<const char*, 2>> needed{{"class_logits", "boxes"},
                                                         {"class_logits", "occlusion_score"},
                                                         {"class_logits", "occlusion_thresholds"},
                                                         {"past_bev", "next_bev"},
                                                         {"past_bev", "next_bev_is_finite"}};
    for (const auto& [name, output] : needed) {
      if ((inputs_.count(name) || outputs_.count(name)) && !outputs_.count(output)) {
        throw std::runtime_error(graph + " has " + name + " and gives no " + output);
      }
    }
  }

  static int64_t microseconds(double seconds) { return std::llround(seconds * 1e6); }

  template <class T, class Values>
  static Ort::Value tensor(const Shape& shape, const Values& values) {
    Ort::AllocatorWithDefaultOptions allocator;
    Ort::Value made = Ort::Value::CreateTensor<T>(allocator, shape.data(), shape.size());
    std::copy(values.begin(), values.end(), made.GetTensorMutableData<T>());
    return made;
  }

  // Returns a tensor of zeros, and its size in bytes.
  static std::pair<Ort::Value, size_t> zeros(const Input& input) {
    Ort::AllocatorWithDefaultOptions allocator;
    auto made =
        Ort::Value::CreateTensor(allocator, input.shape.data(), input.shape.size(), input.type);
    const auto is_its = [&](const auto& type) { return type.second == input.type; };
    size_t bytes = std::find_if(kTypes.begin(), kTypes.end(), is_its)->first[1] - '0';
    for (const int64_t length : input.shape) bytes *= length;
    std::memset(made.GetTensorMutableRawData(), 0, bytes);
    return {std::move(made), bytes};
  }

  // Step 2. Drops the ring where memory must not go on; the graph drops the slots itself.
  void add_motion(const Frame& frame, Tensors& inputs) {
    const auto is_finite = [](double value) { return std::isfinite(value); };
    const bool has_pose = std::all_of(frame.ego2global.begin(), frame.ego2global.end(), is_finite);
    const int64_t interval_us = last_ ? frame.timestamp_us - last_->timestamp_us : 0;
    const bool reset = !has_pose || !last_ || last_->sequence != frame.sequence ||
                       interval_us < 0 || interval_us > max_gap_us_;
    const Pose prev2curr = reset ? kIdentity : relative(frame.ego2global, last_->ego2global);
    inputs.emplace("now_us", tensor<int64_t>({1}, std::array{frame.timestamp_us}));
    inputs.emplace("reset", tensor<bool>({1}, std::array{reset}));
    inputs.emplace("has_pose", tensor<bool>({1}, std::array{has_pose}));
    inputs.emplace("prev2curr", tensor<float>({1, 4, 4}, prev2curr));
    inputs.emplace("interval_s", tensor<float>({1}, std::array{reset ? 0 : interval_us / 1e6}));
    if (reset) ring_.clear();
    last_ = has_pose ? std::optional(frame) : std::nullopt;
  }

  // Step 6, before the graph runs: of each age the nearest features, the younger of two as near.
  void add_past(const Frame& frame, Tensors& inputs) {
    auto [bev, bytes] = zeros(inputs_.at("past_bev"));
    char* place = static_cast<char*>(bev.GetTensorMutableRawData());
    std::vector<float> past_from_now;
    std::vector<char> found;
    for (const int64_t age_us : ages_us_) {
      const KeptFeatures* nearest = nullptr;
      int64_t least_us = tolerance_us_;
      for (const KeptFeatures& kept : ring_) {
        const int64_t off_us = std::abs(kept.frame.timestamp_us - (frame.timestamp_us - age_us));
        if (off_us <= least_us) nearest = &kept, least_us = off_us;
      }
      const size_t part = bytes / ages_us_.size();
      if (nearest) std::memcpy(place + part * found.size(), nearest->bev.GetTensorRawData(), part);
      const Pose pose = nearest ? relative(nearest->frame.ego2global, frame.ego2global) : kIdentity;
      past_from_now.insert(past_from_now.end(), pose.begin(), pose.end());
      found.push_back(nearest != nullptr);
    }
    const auto count = static_cast<int64_t>(ages_us_.size());
    inputs.emplace("past_bev", std::move(bev));
    inputs.emplace("past_from_now", tensor<float>({1, count, 4, 4}, past_from_now));
    inputs.emplace("past_found", tensor<bool>({1, count}, found));
  }

  // Step 6, after the graph ran.
  void keep_features(const Frame& frame, Tensors& outputs) {
    const int64_t oldest_us = *std::max_element(ages_us_.begin(), ages_us_.end()) + tolerance_us_;
    const int64_t least_us = oldest_us / (most_kept_ - 1);
    if (!last_ || !*outputs.at("next_bev_is_finite").GetTensorData<bool>()) return;
    if (!ring_.empty() && frame.timestamp_us - ring_.back().frame.timestamp_us < least_us) return;
    ring_.push_back({frame, std::move(outputs.at("next_bev"))});
    if (int64_t(ring_.size()) > most_kept_) ring_.pop_front();
  }

  // Runs the graph. Memory is zeros where there is none, as in the first frame.
  Tensors run(Tensors& inputs) {
    std::vector<const char*> names, output_names;
    std::vector<Ort::Value> given, values;
    for (const auto& [name, input] : inputs_) {
      const bool is_given = inputs.count(name);
      if (!is_given && !outputs_.count("next_" + name)) {
        throw std::runtime_error("the graph needs " + name + ", which was not recorded");
      }
      names.push_back(name.c_str());
      given.push_back(is_given ? std::move(inputs.at(name)) : zeros(input).first);
    }
    for (const auto& name : outputs_) output_names.push_back(name.c_str());
    values = session_.Run({}, names.data(), given.data(), given.size(), output_names.data(),
                          output_names.size());
    Tensors outputs;
    for (size_t i = 0; i < values.size(); ++i) {
      outputs.emplace(output_names[i], std::move(values[i]));
    }
    return outputs;
  }

  Ort::Env environment_{ORT_LOGGING_LEVEL_ERROR};
  Ort::Session session_;
  int64_t max_gap_us_, tolerance_us_, most_kept_;
  std::vector<int64_t> ages_us_;
  std::map<std::string, Input> inputs_;
  std::set<std::string> outputs_;
  Tensors memory_;                 // by the names of the inputs
  std::deque<KeptFeatures> ring_;  // the oldest first
  std::optional<Frame> last_;      // none, too, where its pose was not finite
};
