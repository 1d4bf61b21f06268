// Reads a recorded drive, as record_drive.py writes it. The formats are described there.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <map>
#include <regex>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

namespace recording {

namespace fs = std::filesystem;

using Pose = std::array<double, 16>;  // [4, 4], row by row

// A NumPy array, row by row.
struct Array {
  std::string type;  // kind and bytes of a value as NumPy names them: f4, u1, b1, i8
  std::vector<int64_t> shape;
  std::vector<char> bytes;

  template <class T>
  const T* values() const {
    return reinterpret_cast<const T*>(bytes.data());
  }
};

using Arrays = std::map<std::string, Array>;

// Reads a .npy file of version 1.0. Throws std::runtime_error for any other file.
inline Array read_array(const fs::path& path) {
  const std::runtime_error fault(path.string() + " is no .npy file that can be read here");
  std::ifstream file(path, std::ios::binary);
  unsigned char start[10] = {};
  file.read(reinterpret_cast<char*>(start), sizeof start);
  if (std::string(start, start + 8) != std::string("\x93NUMPY\x01\x00", 8)) throw fault;
  std::string header(start[8] + 256 * start[9], ' ');
  file.read(header.data(), header.size());
  static const std::regex layout(
      R"('descr': '[<|]([a-z][1248])', 'fortran_order': False, 'shape': \(([0-9, ]*)\))");
  std::smatch found;
  if (!std::regex_search(header, found, layout)) throw fault;
  Array array{found[1], {}, {}};
  std::istringstream lengths(found[2]);
  size_t size = array.type[1] - '0';
  for (std::string length; std::getline(lengths, length, ',');) {
    array.shape.push_back(std::stoll(length));
    size *= array.shape.back();
  }
  array.bytes.resize(size);
  if (!file.read(array.bytes.data(), size) || file.peek() != EOF) throw fault;
  return array;
}

// Values of the manifest by their path in it.
class Settings {
 public:
  explicit Settings(const fs::path& path) {
    std::ifstream file(path);
    for (std::string line, name, value; std::getline(file, line);) {
      std::istringstream words(line);
      words >> name;
      while (words >> value) values_[name].push_back(value);
    }
    if (values_.empty()) throw std::runtime_error(path.string() + " is missing or empty");
  }
  const std::vector<std::string>& words(const std::string& name) const {
    const auto found = values_.find(name);
    if (found == values_.end()) throw std::runtime_error("settings.txt lacks " + name);
    return found->second;
  }
  double number(const std::string& name, size_t index = 0) const {
    return std::stod(words(name).at(index));
  }

 private:
  std::map<std::string, std::vector<std::string>> values_;
};

struct Frame {
  fs::path folder;
  int64_t timestamp_us;
  std::string sequence;
  Pose ego2global;
};

// Returns the frames of a recording in their order, without their arrays.
inline std::vector<Frame> read_frames(const fs::path& recorded) {
  std::ifstream file(recorded / "frames.txt");
  std::vector<Frame> frames;
  std::string folder;
  for (Frame frame; file >> folder >> frame.timestamp_us >> std::ws; frames.push_back(frame)) {
    std::getline(file, frame.sequence);
    frame.folder = recorded / folder;
    const Array pose = read_array(frame.folder / "ego2global.npy");
    if (pose.type != "f8" || pose.bytes.size() != sizeof frame.ego2global) {
      throw std::runtime_error(frame.folder.string() + ": ego2global is not [4, 4] float64");
    }
    std::copy_n(pose.values<double>(), frame.ego2global.size(), frame.ego2global.begin());
  }
  if (frames.empty()) throw std::runtime_error(recorded.string() + " holds no frames");
  return frames;
}

// Reads the inputs that changed in a frame over those of the frames before.
inline void read_inputs(const Frame& frame, Arrays& inputs) {
  for (const auto& entry : fs::directory_iterator(frame.folder / "inputs")) {
    inputs[entry.path().stem().string()] = read_array(entry.path());
  }
}

}  // namespace recording
