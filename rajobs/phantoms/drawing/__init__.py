"""The parts that radiographs are drawn from: bones, soft tissue, damaged joints, and the exposure."""
