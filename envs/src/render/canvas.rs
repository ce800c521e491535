//! Shapes in a world's own units, drawn with smooth edges.

use tiny_skia::{FillRule, Paint, PathBuilder, Pixmap, Stroke, Transform};

use super::Frame;

/// Red, green and blue.
pub type Color = [u8; 3];

/// An image to draw on. Points are given in the world's units, with `y` pointing up.
#[derive(Clone, Debug)]
pub struct Canvas {
    pixmap: Pixmap,
    view: Transform,
}

impl Canvas {
    /// An image of `width` x `height` pixels (at least 1 each) in one colour. A unit of the world is `scale`
    /// pixels long, and the world's origin lies `origin` pixels right of and above the lower left corner.
    pub fn new(width: u32, height: u32, background: Color, scale: f32, origin: (f32, f32)) -> Self {
        // An image with a side of 0 pixels (or of billions) cannot exist: it is drawn as one pixel.
        let pixmap = Pixmap::new(width, height).or_else(|| Pixmap::new(1, 1));
        #[expect(clippy::expect_used, reason = "an image of one pixel exists")]
        let mut pixmap = pixmap.expect("an image of one pixel");
        pixmap.fill(paint(background));
        let view = Transform::from_row(scale, 0.0, 0.0, -scale, origin.0, height as f32 - origin.1);
        Self { pixmap, view }
    }

    /// Fills the polygon with these corners.
    pub fn polygon(&mut self, corners: &[(f32, f32)], color: Color) {
        if let Some(path) = path_through(corners, true) {
            self.fill(&path, color);
        }
    }

    /// Fills a circle.
    pub fn circle(&mut self, (x, y): (f32, f32), radius: f32, color: Color) {
        if let Some(path) = PathBuilder::from_circle(x, y, radius) {
            self.fill(&path, color);
        }
    }

    /// Draws a line through these points, `width` pixels wide.
    pub fn line(&mut self, points: &[(f32, f32)], width: f32, color: Color) {
        // The stroke is measured in the world's units before the view is applied.
        let scale = self.view.sx.abs().max(f32::MIN_POSITIVE);
        let stroke = Stroke { width: width / scale, ..Stroke::default() };
        if let Some(path) = path_through(points, false) {
            self.pixmap.stroke_path(&path, &solid(color), &stroke, self.view, None);
        }
    }

    /// The image.
    pub fn finish(self) -> Frame {
        let (width, height) = (self.pixmap.width() as usize, self.pixmap.height() as usize);
        // Every pixel is opaque, so that the premultiplied colours are the colours.
        let pixels = self.pixmap.pixels().iter().flat_map(|p| [p.red(), p.green(), p.blue()]).collect();
        Frame { width, height, pixels }
    }

    fn fill(&mut self, path: &tiny_skia::Path, color: Color) {
        self.pixmap.fill_path(path, &solid(color), FillRule::Winding, self.view, None);
    }
}

fn paint([red, green, blue]: Color) -> tiny_skia::Color {
    tiny_skia::Color::from_rgba8(red, green, blue, 255)
}

fn solid(color: Color) -> Paint<'static> {
    let mut solid = Paint { anti_alias: true, ..Paint::default() };
    solid.set_color(paint(color));
    solid
}

fn path_through(points: &[(f32, f32)], closed: bool) -> Option<tiny_skia::Path> {
    let (first, rest) = points.split_first()?;
    let mut path = PathBuilder::new();
    path.move_to(first.0, first.1);
    rest.iter().for_each(|(x, y)| path.line_to(*x, *y));
    if closed {
        path.close();
    }
    path.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHITE: Color = [255, 255, 255];
    const RED: Color = [255, 0, 0];

    fn pixel(frame: &Frame, x: usize, y: usize) -> Color {
        let at = (y * frame.width + x) * 3;
        [frame.pixels[at], frame.pixels[at + 1], frame.pixels[at + 2]]
    }

    #[test]
    fn y_points_up_and_the_origin_is_where_it_was_put() {
        let mut canvas = Canvas::new(20, 10, WHITE, 2.0, (4.0, 2.0));
        canvas.polygon(&[(0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0)], RED);
        let frame = canvas.finish();
        assert_eq!((frame.width, frame.height, frame.pixels.len()), (20, 10, 600));
        assert_eq!(pixel(&frame, 4, 7), RED);
        assert_eq!(pixel(&frame, 5, 6), RED);
        assert_eq!(pixel(&frame, 4, 8), WHITE);
        assert_eq!(pixel(&frame, 3, 7), WHITE);
    }

    #[test]
    fn lines_are_as_wide_as_pixels_say() {
        let mut canvas = Canvas::new(20, 20, WHITE, 10.0, (0.0, 0.0));
        canvas.line(&[(0.0, 1.0), (2.0, 1.0)], 4.0, RED);
        let frame = canvas.finish();
        let red = (0..20).filter(|&y| pixel(&frame, 10, y) == RED).count();
        assert_eq!(red, 4);
    }

    #[test]
    fn shapes_without_an_area_draw_nothing() {
        let mut canvas = Canvas::new(0, 0, WHITE, 1.0, (0.0, 0.0));
        canvas.polygon(&[], RED);
        canvas.circle((0.0, 0.0), -1.0, RED);
        assert_eq!(canvas.finish().pixels, WHITE);
    }
}
