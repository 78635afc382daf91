"""What a radiograph is drawn with: bones, soft tissue, damage of joints, and the exposure."""
