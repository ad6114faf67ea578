"""Import and export of the field's exchange files: npz of several repositories, and COCO-style detections.

One module per layout. Files without pose stores' metadata (cameras, frame rates) get it from the caller.
"""
